//! Pages that say why a browser did not get what it asked for.

use askama::Template;
use http::StatusCode;

use crate::auth::account::Account;
use crate::dialect::Answer;

use super::Console;
use super::page::{Frame, PageError, html};
use super::texts::Texts;

/// A request that was refused, for its page.
#[derive(Clone)]
pub struct RefusedVisit<'a> {
    pub status: StatusCode,
    /// As the API names it.
    pub code: &'static str,
    /// What it says beyond the words for the status.
    pub message: &'a str,
    pub retry_after: Option<u64>,
    pub request_id: &'a str,
    /// Who has been refused, if that is known.
    pub account: Option<&'a Account>,
    /// Where to go from here: a path of this site.
    pub link: Option<(String, Way)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    SignIn,
    OtherAccount,
    Back,
}

#[derive(Template)]
#[template(path = "refusal.html")]
struct RefusalPage<'a> {
    f: Frame<'a>,
    title: &'a str,
    words: &'a str,
    detail: &'a str,
    status: u16,
    code: &'static str,
    request_id: &'a str,
    retry_after: Option<u64>,
    signed_in: Option<&'a str>,
    link: Option<(&'a str, &'a str)>,
}

/// The page of a refusal. Without a console it stands without style.
#[must_use]
pub fn page(console: Option<&Console>, refused: &RefusedVisit<'_>) -> Answer {
    let f = Frame::without_user(console);
    let texts = f.texts;
    let (title, words) = texts.of_status(refused.status.as_u16());
    let link = refused.link.as_ref().map(|(to, way)| {
        let text = match way {
            Way::SignIn => &texts.sign_in,
            Way::OtherAccount => &texts.other_account,
            Way::Back => &texts.back,
        };
        (to.as_str(), text.as_str())
    });
    let page = RefusalPage {
        f,
        title,
        words,
        detail: refused.message,
        status: refused.status.as_u16(),
        code: refused.code,
        request_id: refused.request_id,
        retry_after: refused.retry_after,
        signed_in: refused.account.map(|account| account.username.as_str()),
        link,
    };
    html(refused.status, &page)
}

impl RefusedVisit<'_> {
    /// As the page of a form shows it that is shown again.
    #[must_use]
    pub fn error(&self, texts: &Texts) -> PageError {
        PageError {
            status: self.status,
            code: self.code,
            message: self.message.to_owned(),
            advice: self.retry_after.map(|seconds| texts.wait_seconds(seconds)),
            request_id: self.request_id.to_owned(),
        }
    }
}
