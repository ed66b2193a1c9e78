//! How tokens reach a client: in the answer's body, or as cookies that scripts
//! cannot read (S0-20).

use http::header::{HeaderName, HeaderValue, SET_COOKIE};

use crate::auth::login::{AccessToken, TokenPair};
use crate::auth::secret::Secret;
use crate::auth::time::Seconds;

/// How the clients of a contract get their tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryRule {
    Always(Delivery),
    /// Cookies for a browser on a page of the gateway's own origin, the body for others.
    ByClient,
}

impl DeliveryRule {
    #[must_use]
    pub fn uses_cookies(self) -> bool {
        self != DeliveryRule::Always(Delivery::Body)
    }

    /// For one request; `own_page` tells whether a page of our origin has sent it.
    #[must_use]
    pub fn choose(self, own_page: impl FnOnce() -> bool) -> Delivery {
        match self {
            DeliveryRule::Always(delivery) => delivery,
            DeliveryRule::ByClient if own_page() => Delivery::Cookie,
            DeliveryRule::ByClient => Delivery::Body,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    Body,
    /// The members that would hold tokens are left out of the body.
    Cookie,
}

/// The prefix binds them to this host, to TLS and to the whole site (RFC 6265bis 4.1.3).
pub const ACCESS_COOKIE: &str = "__Host-portcullis-access";
pub const REFRESH_COOKIE: &str = "__Host-portcullis-refresh";

impl Delivery {
    /// A token as the body shows it, if it does.
    #[must_use]
    pub fn shown(self, token: &Secret) -> Option<&str> {
        (self == Delivery::Body).then(|| token.expose())
    }

    /// The fields that carry an access token.
    #[must_use]
    pub fn of_access(self, access: &AccessToken) -> Vec<(HeaderName, HeaderValue)> {
        match self {
            Delivery::Body => Vec::new(),
            Delivery::Cookie => vec![cookie(ACCESS_COOKIE, access.text.expose(), access.ttl)],
        }
    }

    /// The fields that carry both tokens.
    #[must_use]
    pub fn of_pair(self, pair: &TokenPair, refresh_ttl: Seconds) -> Vec<(HeaderName, HeaderValue)> {
        let mut fields = self.of_access(&pair.access);
        if self == Delivery::Cookie {
            fields.push(cookie(REFRESH_COOKIE, pair.refresh.expose(), refresh_ttl));
        }
        fields
    }

    /// The fields that make a browser forget both.
    #[must_use]
    pub fn forget(self) -> Vec<(HeaderName, HeaderValue)> {
        match self {
            Delivery::Body => Vec::new(),
            Delivery::Cookie => {
                [ACCESS_COOKIE, REFRESH_COOKIE].map(|name| cookie(name, "", Seconds(0))).into()
            }
        }
    }
}

/// The fields that carry a session which the gateway renews for so long. The access token is kept beyond its
/// life: it tells which workspace it was for.
#[must_use]
pub fn of_session(
    access: &AccessToken,
    renewal: Option<&Secret>,
    renewal_ttl: Seconds,
) -> Vec<(HeaderName, HeaderValue)> {
    let access = cookie(ACCESS_COOKIE, access.text.expose(), renewal_ttl);
    let renewal = renewal.map(|token| cookie(REFRESH_COOKIE, token.expose(), renewal_ttl));
    std::iter::once(access).chain(renewal).collect()
}

/// A cookie for this whole site that scripts cannot read and other sites' pages do not
/// send along.
pub(super) fn cookie(name: &str, value: &str, lifetime: Seconds) -> (HeaderName, HeaderValue) {
    let text =
        format!("{name}={value}; Max-Age={}; Path=/; Secure; HttpOnly; SameSite=Lax", lifetime.0);
    let mut value = HeaderValue::from_str(&text).expect("tokens are visible ASCII");
    value.set_sensitive(true);
    (SET_COOKIE, value)
}
