//! Links that a person follows in a browser: a page that says what the link is for, a form
//! that does it; and the same as JSON. Mounted where `links.public_url` is set.
//!
//! To open a link changes nothing, for programs that look at mails open every link in them.
//! The page holds no script and nothing of others, and tells no site where it was left from.

use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_FRAME_OPTIONS};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use crate::auth::account::Account;
use crate::auth::link::LinkKind;
use crate::auth::password::{MAX_BYTES, MIN_CHARS};
use crate::auth::secret::Secret;

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
    /// Where people sign in, if there is a page for it.
    pub sign_in: Option<String>,
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
            Operation::FollowLink if is_form(input.content_type) => follow_form(input.body),
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
                page(StatusCode::OK, &self.form(&account, kind, &link))
            }
            Outcome::LinkFollowed(_, kind, Presentation::Page) => {
                let on = self.sign_in.as_ref();
                let on = on.map(|path| format!("<p><a href=\"{path}\">Sign in</a></p>"));
                page(
                    StatusCode::OK,
                    &format!("<p>{}</p>{}", followed(kind), on.unwrap_or_default()),
                )
            }
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

impl Links {
    /// A link's text is of letters, digits, `-` and `_`, for it has been read before.
    fn form(&self, account: &Account, kind: LinkKind, link: &Secret) -> String {
        let (prefix, name) = (&self.prefix, escaped(account.username.as_str()));
        let (what, field, button) = match kind {
            LinkKind::Address => ("Confirm your e-mail address for", String::new(), "Confirm"),
            LinkKind::Password | LinkKind::Both => {
                let field = format!(
                    "<p><label>New password, at least {MIN_CHARS} characters<br>\
                     <input type=\"password\" name=\"password\" autocomplete=\"new-password\" \
                     minlength=\"{MIN_CHARS}\" maxlength=\"{MAX_BYTES}\" required autofocus>\
                     </label></p>"
                );
                ("Choose a password for", field, "Set password")
            }
        };
        format!(
            "<p>{what} the account <b>{name}</b>. If it is not yours, leave this page.</p>\
             <form method=\"post\" action=\"{prefix}\">\
             <input type=\"hidden\" name=\"link\" value=\"{}\">{field}\
             <p><button type=\"submit\">{button}</button></p></form>",
            link.expose()
        )
    }
}

/// Text as it stands in HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

fn follow_form(body: &[u8]) -> Result<Command, DecodeError> {
    let malformed =
        || DecodeError::Malformed("The form must have a link, and a password at most".to_owned());
    let text = std::str::from_utf8(body).map_err(|_| malformed())?;
    let (mut link, mut password) = (None, None);
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        // What is no UTF-8 has been replaced: a password must not change so.
        let value = (!value.contains('\u{fffd}')).then(|| Secret::new(value.into_owned()));
        match name.as_ref() {
            "link" if link.is_none() => link = Some(value.ok_or_else(malformed)?),
            "password" if password.is_none() => password = Some(value.ok_or_else(malformed)?),
            _ => return Err(malformed()),
        }
    }
    let link = link.ok_or_else(malformed)?;
    Ok(Command::FollowLink { link, password, reply: Presentation::Page })
}

fn followed(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Address => "Your e-mail address is confirmed.",
        LinkKind::Password => "Your password is set. All other sessions have ended.",
        LinkKind::Both => "Your password is set and your e-mail address confirmed.",
    }
}

/// A refusal for a person; `message` is one of ours.
#[must_use]
pub fn refusal_page(status: StatusCode, message: &str) -> Answer {
    page(status, &format!("<p>{message}</p>"))
}

fn page(status: StatusCode, content: &str) -> Answer {
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Account</title>\
         <main>{content}</main></html>\n"
    );
    let field = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let fields = vec![
        field(CONTENT_TYPE, "text/html; charset=utf-8"),
        field(
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        // The origin alone: our form is known by it, and the link goes nowhere.
        field(REFERRER_POLICY, "strict-origin"),
        field(X_FRAME_OPTIONS, "DENY"),
    ];
    Answer { status, body: body.into_bytes(), fields }
}

#[cfg(test)]
mod tests;
