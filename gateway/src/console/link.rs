//! The pages of links by which people verify an address or choose a password.

use std::sync::Arc;

use askama::Template;
use http::StatusCode;

use crate::auth::account::Account;
use crate::auth::link::LinkKind;
use crate::auth::password::{MAX_BYTES, MIN_CHARS};
use crate::auth::secret::Secret;
use crate::dialect::Answer;
use crate::dialect::links::Pages;

use super::Console;
use super::page::{Frame, PageError, html};

/// Those pages, in the console's dress where there is one.
pub struct LinkPages {
    console: Option<Arc<Console>>,
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage<'a> {
    f: Frame<'a>,
    title: &'a str,
    button: &'a str,
    username: &'a str,
    sets_password: bool,
    shortest: usize,
    longest: usize,
    action: &'a str,
    link: &'a str,
}

#[derive(Template)]
#[template(path = "link_followed.html")]
struct FollowedPage<'a> {
    f: Frame<'a>,
    title: &'a str,
    sign_in: Option<String>,
}

impl LinkPages {
    #[must_use]
    pub fn new(console: Option<Arc<Console>>) -> Self {
        Self { console }
    }

    /// The page of a link for an account, perhaps once more with why it was refused.
    #[must_use]
    pub fn show(
        &self,
        action: &str,
        (account, kind, link): (&Account, LinkKind, &Secret),
        error: Option<&PageError>,
    ) -> Answer {
        let f = Frame { error, ..Frame::without_user(self.console.as_deref()) };
        let (title, button) = match kind {
            LinkKind::Address => (&f.texts.link_address, &f.texts.link_address_button),
            LinkKind::Password | LinkKind::Both => {
                (&f.texts.link_password, &f.texts.link_password_button)
            }
        };
        let page = LinkPage {
            title,
            button,
            username: account.username.as_str(),
            sets_password: kind.sets_password(),
            shortest: MIN_CHARS,
            longest: MAX_BYTES,
            action,
            link: link.expose(),
            f,
        };
        html(error.map_or(StatusCode::OK, |error| error.status), &page)
    }
}

impl Pages for LinkPages {
    fn shown(&self, action: &str, account: &Account, kind: LinkKind, link: &Secret) -> Answer {
        self.show(action, (account, kind, link), None)
    }

    fn followed(&self, kind: LinkKind) -> Answer {
        let f = Frame::without_user(self.console.as_deref());
        let title = match kind {
            LinkKind::Address => &f.texts.done_link_address,
            LinkKind::Password => &f.texts.done_link_password,
            LinkKind::Both => &f.texts.done_link_both,
        };
        let sign_in = self.console.as_ref().map(|console| console.path("/sign-in"));
        html(StatusCode::OK, &FollowedPage { f, title, sign_in })
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY};
    use uuid::Uuid;

    use super::*;
    use crate::auth::account::{AccountId, Username};
    use crate::auth::time::Timestamp;

    fn text(answer: &Answer) -> String {
        String::from_utf8(answer.body.clone()).expect("it is text")
    }

    fn field(answer: &Answer, name: &HeaderName) -> String {
        let found: Vec<_> = answer.fields.iter().filter(|(known, _)| known == name).collect();
        assert_eq!(found.len(), 1, "{name}");
        found[0].1.to_str().expect("it is text").to_owned()
    }

    #[test]
    fn a_page_asks_for_a_password_where_one_is_set_and_holds_nothing_of_others() {
        let name = Username::parse("ann").expect("a name");
        let ann = Account::new(AccountId(Uuid::from_u128(1)), name, Timestamp(0));
        for (kind, password) in
            [(LinkKind::Address, false), (LinkKind::Password, true), (LinkKind::Both, true)]
        {
            let answer = LinkPages::new(None).shown("/api/links", &ann, kind, &"abc-_1".into());
            let text = text(&answer);
            assert_eq!(field(&answer, &REFERRER_POLICY), "strict-origin");
            assert!(field(&answer, &CONTENT_SECURITY_POLICY).starts_with("default-src 'none'"));
            for part in
                ["<strong>ann</strong>", r#"action="/api/links""#, r#"name="link" value="abc-_1""#]
            {
                assert!(text.contains(part), "{part}: {text}");
            }
            assert_eq!(text.contains(r#"type="password""#), password, "{kind:?}: {text}");
            assert!(!text.contains("://") && !text.contains("<script"), "{text}");
        }
    }

    #[test]
    fn whatever_a_link_has_done_a_person_reads_which_it_was() {
        let mut told = Vec::new();
        for kind in [LinkKind::Address, LinkKind::Password, LinkKind::Both] {
            let text = text(&LinkPages::new(None).followed(kind));
            assert_eq!(text.contains("password"), kind != LinkKind::Address, "{text}");
            assert_eq!(text.contains("address"), kind != LinkKind::Password, "{text}");
            assert!(!told.contains(&text));
            told.push(text);
        }
    }
}
