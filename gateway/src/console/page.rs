//! What all pages have in common: the frame around them, and the policy they are sent under.

use askama::Template;
use http::StatusCode;
use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue};

use crate::auth::account::Account;
use crate::dialect::Answer;

use super::Console;
use super::assets;
use super::table::Page;
use super::texts::Texts;

/// Nothing comes from elsewhere, no script stands in a page, and no other site's page holds it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// Whom a page is for.
pub struct User<'a> {
    pub name: &'a str,
    /// Whether there are pages of administrators, for this one.
    pub administers: bool,
}

/// Why what was sent was refused.
#[derive(Debug, Clone)]
pub struct PageError {
    pub status: StatusCode,
    /// As the API names it.
    pub code: &'static str,
    pub message: String,
    /// What to do about it, or when.
    pub advice: Option<String>,
    pub request_id: String,
}

/// What stands around a page's content.
pub struct Frame<'a> {
    pub texts: &'a Texts,
    pub prefix: &'a str,
    /// `None` where they are not served.
    pub assets: Option<&'a assets::Paths>,
    pub user: Option<User<'a>>,
    pub page: Option<Page>,
    pub notice: Option<&'a str>,
    pub error: Option<&'a PageError>,
}

/// A place in the navigation.
pub struct Entry<'a> {
    pub path: &'static str,
    pub text: &'a str,
    pub current: bool,
}

impl<'a> Frame<'a> {
    /// Of a page that is the same for everybody. Without a console it stands without style.
    #[must_use]
    pub fn without_user(console: Option<&'a Console>) -> Self {
        let texts = match console {
            Some(console) => &console.texts,
            None => Texts::own(),
        };
        Self {
            texts,
            prefix: console.map_or("", |console| &console.settings.prefix),
            assets: console.map(|console| &console.assets.paths),
            user: None,
            page: None,
            notice: None,
            error: None,
        }
    }

    #[must_use]
    pub fn user_of(account: Option<&'a Account>, administration: bool) -> Option<User<'a>> {
        let user = |account: &'a Account| User {
            name: account.username.as_str(),
            administers: administration && account.is_admin(),
        };
        account.map(user)
    }

    /// The navigation, for the user.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry<'a>> {
        let texts = self.texts;
        let own = [
            ("/servers", &texts.nav_servers),
            ("/keys", &texts.nav_keys),
            ("/account", &texts.nav_account),
        ];
        let all = [
            ("/admin/users", &texts.nav_users),
            ("/admin/sessions", &texts.nav_sessions),
            ("/admin/servers", &texts.nav_all_servers),
            ("/admin/keys", &texts.nav_all_keys),
            ("/admin/lockouts", &texts.nav_lockouts),
            ("/admin/refusals", &texts.nav_refusals),
        ];
        let is_admin = self.user.as_ref().is_some_and(|user| user.administers);
        let entries = own.into_iter().chain(all.into_iter().filter(|_| is_admin));
        let current = self.page.map_or("", Page::place);
        entries.map(|(path, text)| Entry { path, text, current: path == current }).collect()
    }
}

/// A page that is made from a template.
pub fn html(status: StatusCode, page: &impl Template) -> Answer {
    // Templates write to a text, which does not fail.
    let body = page.render().unwrap_or_default().into_bytes();
    let field = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let fields = vec![
        field(CONTENT_TYPE, "text/html; charset=utf-8"),
        field(CONTENT_SECURITY_POLICY, POLICY),
        // The origin alone: our own forms are known by it, and nobody learns the address of
        // a page, which may hold a link's secret.
        field(REFERRER_POLICY, "strict-origin"),
        field(X_FRAME_OPTIONS, "DENY"),
        field(X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Answer { status, body, fields }
}
