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
use super::row::{self, NotEncoded, Row};
use super::{
    Answer, ClientError, Command, Context, Contract, DecodeError, Dialect, Endpoint,
    EndpointAccess, Input, Operation, Outcome, Presentation, Verb,
};

static ROWS: [Row<Links>; 4] = [
    Row::new(
        Endpoint::new(Verb::Get, "", Operation::ShowLink),
        |_, input| read_link(input),
        |links, outcome, _| match outcome {
            Outcome::LinkShown(account, kind, link) => {
                Some(links.pages.shown(&links.prefix, &account, kind, &link))
            }
            _ => None,
        },
    ),
    Row::new(
        Endpoint::new(Verb::Post, "", Operation::FollowLink),
        |_, input| follow(input),
        |links, outcome, _| match outcome {
            Outcome::LinkFollowed(_, kind, Presentation::Page) => Some(links.pages.followed(kind)),
            Outcome::LinkFollowed(_, kind, Presentation::Json) => {
                Some(Answer::ok(&DoneAnswer { done: kind.as_str() }))
            }
            _ => None,
        },
    ),
    Row::new(
        Endpoint::new(Verb::Post, "/password", Operation::SendPasswordLink),
        |_, input| {
            let address = Members::read(input.content_type, input.body)?.text("email")?;
            Ok(Command::SendPasswordLink { address })
        },
        mail_taken,
    ),
    Row::new(
        Endpoint::new(Verb::Post, "/address", Operation::SendAddressLink)
            .accessible_to(EndpointAccess::Authenticated),
        |_, input| none(input.body).map(|()| Command::SendAddressLink),
        mail_taken,
    ),
];
static ENDPOINTS: [Endpoint; 4] = row::endpoints(&ROWS);
/// Of them, those that are there without mail.
const WITHOUT_MAIL: usize = 2;

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
        if self.mail { &ENDPOINTS } else { &ENDPOINTS[..WITHOUT_MAIL] }
    }

    fn decode(&self, operation: Operation, input: &Input<'_>) -> Result<Command, DecodeError> {
        row::decode(&ROWS, self, operation, input)
    }

    fn encode(&self, outcome: Outcome, context: Context<'_>) -> Result<Answer, NotEncoded> {
        row::encode(&ROWS, self, outcome, context)
    }

    fn refusal(&self, error: &ClientError<'_>) -> Vec<u8> {
        coded_refusal(error)
    }
}

fn read_link(input: &Input<'_>) -> Result<Command, DecodeError> {
    let query = input.query.unwrap_or_default();
    let found = query.split('&').find_map(|pair| pair.strip_prefix("link="));
    let missing = || DecodeError::Malformed("The query must have a link".to_owned());
    Ok(Command::ShowLink { link: found.ok_or_else(missing)?.into() })
}

fn mail_taken(_: &Links, outcome: Outcome, _: Context<'_>) -> Option<Answer> {
    let Outcome::MailTaken = outcome else { return None };
    Some(Answer::empty(StatusCode::ACCEPTED))
}

fn follow(input: &Input<'_>) -> Result<Command, DecodeError> {
    if is_form(input.content_type) {
        return follow_form(input);
    }
    let mut body = Members::read(input.content_type, input.body)?;
    let link = Secret::new(body.text("link")?);
    let password = body.optional_text("password")?.map(Secret::new);
    Ok(Command::FollowLink { link, password, reply: Presentation::Json })
}

fn follow_form(input: &Input<'_>) -> Result<Command, DecodeError> {
    let mut form = Fields::read(input.content_type, input.body)?;
    let link = form.secret("link")?;
    let password = form.optional("password").map(Secret::new);
    form.finish(Command::FollowLink { link, password, reply: Presentation::Page })
}

#[cfg(test)]
mod tests;
