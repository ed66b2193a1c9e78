//! Links that a person follows in a browser: a page that says what the link is for, a form
//! that does it; and the same as JSON. Mounted where `links.public_url` is set.
//!
//! To open a link changes nothing, for programs that look at mails open every link in them.

use http::StatusCode;
use serde::Serialize;

use crate::auth::account::Account;
use crate::auth::link::LinkKind;
use crate::auth::secret::Secret;

use super::body::fields::Fields;
use super::body::{Members, coded_refusal, is_form, none};
use super::{
    Admission, Answer, ClientError, Command, Context, Contract, DecodeError, Dialect, Endpoint,
    Input, Operation, Outcome, Presentation, Verb,
};

const LINKS: &[Endpoint] = &[
    Endpoint::new(Verb::Get, "", Operation::ShowLink),
    Endpoint::new(Verb::Post, "", Operation::FollowLink),
];
/// Where mail is configured.
const WITH_MAIL: &[Endpoint] = &[
    LINKS[0],
    LINKS[1],
    Endpoint::new(Verb::Post, "/password", Operation::SendPasswordLink),
    Endpoint::new(Verb::Post, "/address", Operation::SendAddressLink)
        .admitting(Admission::Authenticated),
];

/// In the query of a link: what stands before its text.
pub const QUERY: &str = "?link=";

pub struct Links {
    pub prefix: String,
    /// Whether people can ask for links by mail.
    pub mail: bool,
    pub pages: Box<dyn Pages>,
}

/// What a browser is shown of a link, by whoever makes the gateway's pages.
pub trait Pages: Send + Sync {
    /// What a link is for, with a form that follows it: sent to the path `action`, with the
    /// field `link`, and `password` where one is set.
    fn shown(&self, action: &str, account: &Account, kind: LinkKind, link: &Secret) -> Answer;

    /// That a link was followed.
    fn followed(&self, kind: LinkKind) -> Answer;
}

#[derive(Serialize)]
struct DoneAnswer {
    done: &'static str,
}

impl Dialect for Links {
    fn contract(&self) -> Contract {
        Contract::Links
    }

    fn prefix(&self) -> &str {
        &self.prefix
    }

    fn endpoints(&self) -> &[Endpoint] {
        if self.mail { WITH_MAIL } else { LINKS }
    }

    fn decode(&self, operation: Operation, input: &Input<'_>) -> Result<Command, DecodeError> {
        match operation {
            Operation::ShowLink => {
                let query = input.query.unwrap_or_default();
                let found = query.split('&').find_map(|pair| pair.strip_prefix("link="));
                let missing = || DecodeError::Malformed("The query must have a link".to_owned());
                Ok(Command::ShowLink { link: found.ok_or_else(missing)?.into() })
            }
            Operation::FollowLink if is_form(input.content_type) => follow_form(input),
            Operation::FollowLink => {
                let mut body = Members::read(input.content_type, input.body)?;
                let link = Secret::new(body.text("link")?);
                let password = body.optional_text("password")?.map(Secret::new);
                Ok(Command::FollowLink { link, password, reply: Presentation::Json })
            }
            Operation::SendPasswordLink => {
                let address = Members::read(input.content_type, input.body)?.text("email")?;
                Ok(Command::SendPasswordLink { address })
            }
            Operation::SendAddressLink => none(input.body).map(|()| Command::SendAddressLink),
            _ => Err(DecodeError::not_of_this_contract()),
        }
    }

    fn encode(&self, outcome: Outcome, _context: Context<'_>) -> Answer {
        match outcome {
            Outcome::LinkShown(account, kind, link) => {
                self.pages.shown(&self.prefix, &account, kind, &link)
            }
            Outcome::LinkFollowed(_, kind, Presentation::Page) => self.pages.followed(kind),
            Outcome::LinkFollowed(_, kind, Presentation::Json) => {
                Answer::ok(&DoneAnswer { done: kind.as_str() })
            }
            Outcome::MailTaken => Answer { status: StatusCode::ACCEPTED, ..Answer::nothing() },
            _ => Answer::nothing(),
        }
    }

    fn refusal(&self, error: &ClientError<'_>) -> Vec<u8> {
        coded_refusal(error)
    }
}

fn follow_form(input: &Input<'_>) -> Result<Command, DecodeError> {
    let mut form = Fields::read(input.content_type, input.body)?;
    let link = form.secret("link")?;
    let password = form.optional("password").map(Secret::new);
    form.finish(Command::FollowLink { link, password, reply: Presentation::Page })
}

#[cfg(test)]
mod tests;
