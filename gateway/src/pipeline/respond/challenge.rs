//! Which credentials a 401 asks for (`WWW-Authenticate`, RFC 9110 11.6.1): it depends on
//! the route and on what the client makes of them.
//!
//! A program is offered all that is taken. Basic comes first, for clients that act on the
//! first challenge alone. Container clients take the realm of a Bearer challenge for the
//! URL of a token server, and never send a password then: below `/v2/` they are offered
//! Basic alone. A browser asks its user for a password wherever Basic is offered: a
//! navigation has no other way to sign in, but the requests of a page have, and a dialog
//! over an application is nobody's wish.

use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::canonical::path::is_below;
use crate::config::schemes::{Challenge, ChallengeScheme, Schemes};
use crate::config::{self, SignIn};
use crate::pipeline::message::SEC_FETCH_MODE;

/// Where container registries have their API (OCI Distribution 1.1, "end-1").
const REGISTRY: &str = "/v2";

/// What a browser loads a response into (W3C Fetch Metadata 2.1).
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Who gets the challenges, by what only a browser states (W3C Fetch Metadata 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    Program,
    /// A script, image, frame or anything else that a page loads.
    Page,
    /// A person who sees the response in a window of its own.
    Navigation,
    /// A browser that does not say what it asks for, by all that it does say.
    OldBrowser,
}

impl Asker {
    #[must_use]
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        let mut modes = headers.get_all(SEC_FETCH_MODE).iter().peekable();
        if modes.peek().is_none() {
            return if is_old_browser(method, headers) {
                Asker::OldBrowser
            } else {
                Asker::Program
            };
        }
        if !modes.all(|mode| mode.as_bytes() == b"navigate") {
            return Asker::Page;
        }
        let mut destinations = headers.get_all(SEC_FETCH_DEST).iter();
        if destinations.all(|destination| destination.as_bytes() == b"document") {
            Asker::Navigation
        } else {
            // In a frame no page of ours is shown.
            Asker::Page
        }
    }

    /// Whether a person sees the response.
    #[must_use]
    pub fn is_person(self) -> bool {
        match self {
            Asker::Navigation | Asker::OldBrowser => true,
            Asker::Program | Asker::Page => false,
        }
    }
}

/// Over plain http browsers state nothing, and those of 2022 and before do not over https.
fn is_old_browser(method: &Method, headers: &HeaderMap) -> bool {
    let begins = |name, beginning: &[u8]| {
        headers.get(name).is_some_and(|value: &HeaderValue| value.as_bytes().starts_with(beginning))
    };
    // What tells most programs first.
    !headers.contains_key(header::AUTHORIZATION)
        && [Method::GET, Method::HEAD].contains(method)
        && begins(header::USER_AGENT, b"Mozilla/")
        && begins(header::ACCEPT, b"text/html")
}

/// The challenges of our own endpoints and of each route, written once.
pub struct Challenges {
    general: Offer,
    routes: Vec<Offer>,
    sign_ins: Vec<SignIn>,
}

/// What one route offers.
struct Offer {
    program: Lines,
    /// To navigations and registries' clients.
    narrow: Lines,
    page: Lines,
}

/// The values of `WWW-Authenticate`.
struct Lines {
    usual: Vec<HeaderValue>,
    /// When a token was refused (RFC 6750 3.1).
    token_refused: Vec<HeaderValue>,
}

impl Challenges {
    /// `realm` has been checked to fit into a quoted string.
    #[must_use]
    pub fn new(realm: &str, routes: &[config::Route]) -> Self {
        let of_route =
            |route: &config::Route| Offer::new(realm, route.challenge.as_deref(), route.schemes);
        Self {
            general: Offer::new(realm, None, Schemes::ALL),
            routes: routes.iter().map(of_route).collect(),
            sign_ins: routes.iter().map(|route| route.sign_in).collect(),
        }
    }

    /// What a navigation without a good credential gets on a route.
    #[must_use]
    pub fn sign_in(&self, route: usize) -> SignIn {
        self.sign_ins.get(route).copied().unwrap_or(SignIn::None)
    }

    /// Adds what a request is asked for.
    pub fn add(&self, headers: &mut HeaderMap, asked: Challenged<'_>) {
        let Challenged { asker, route, path, refused, by_basic, has_page, keeps_cookies } = asked;
        let offer = route.and_then(|route| self.routes.get(route)).unwrap_or(&self.general);
        let asks_basic = match route {
            Some(route) => self.sign_in(route) == SignIn::Basic,
            None => !has_page,
        };
        // Where no cookie would be kept, a page signs nobody in.
        let asks_basic = asks_basic || asker == Asker::OldBrowser && !keeps_cookies;
        let lines = match asker {
            Asker::Program if !is_below(path, REGISTRY) => &offer.program,
            Asker::Program => &offer.narrow,
            // A password that was refused is one that the browser would send again.
            Asker::Navigation | Asker::OldBrowser if asks_basic || by_basic => &offer.narrow,
            Asker::Page | Asker::Navigation | Asker::OldBrowser => &offer.page,
        };
        let values = match refused {
            Refused::Token => &lines.token_refused,
            Refused::Other => &lines.usual,
        };
        for value in values {
            headers.append(header::WWW_AUTHENTICATE, value.clone());
        }
    }
}

/// A request that is answered 401.
#[derive(Clone, Copy)]
pub struct Challenged<'a> {
    pub asker: Asker,
    /// The route's place among the configured ones, if it had come so far.
    pub route: Option<usize>,
    pub path: &'a str,
    pub refused: Refused,
    /// Whether it brought a password by Basic.
    pub by_basic: bool,
    /// Whether there is a page to sign in on, of what is no route's.
    pub has_page: bool,
    /// Whether its browser keeps the cookies that it is given.
    pub keeps_cookies: bool,
}

/// What was not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    Token,
    Other,
}

impl Offer {
    fn new(realm: &str, written: Option<&[Challenge]>, schemes: Schemes) -> Self {
        let own = |scheme| Challenge { scheme, parameters: None };
        let both = [own(ChallengeScheme::Basic), own(ChallengeScheme::Bearer)];
        let taken = both.iter().filter(|challenge| challenge.scheme.is_taken(schemes));
        let named: Vec<&Challenge> =
            written.map_or_else(|| taken.collect(), |w| w.iter().collect());
        let of = |scheme| named.iter().copied().find(|challenge| challenge.scheme == scheme);
        // Where neither is taken too: a 401 has a challenge (RFC 9110 15.5.2), and this is
        // the one that no client acts on by itself.
        let bearer = [of(ChallengeScheme::Bearer).unwrap_or(&both[1])];
        let all = if named.is_empty() { &bearer[..] } else { &named[..] };
        let basic = of(ChallengeScheme::Basic).filter(|_| written.is_none());
        Self {
            program: Lines::new(realm, all),
            narrow: Lines::new(realm, if basic.is_some() { basic.as_slice() } else { all }),
            page: Lines::new(realm, &bearer),
        }
    }
}

impl Lines {
    fn new(realm: &str, challenges: &[&Challenge]) -> Self {
        let values = |refused| challenges.iter().map(|one| value(realm, one, refused)).collect();
        Self { usual: values(false), token_refused: values(true) }
    }
}

fn value(realm: &str, challenge: &Challenge, token_refused: bool) -> HeaderValue {
    let scheme = challenge.scheme.as_str();
    let mut text = match (&challenge.parameters, challenge.scheme) {
        (Some(parameters), _) => format!("{scheme} {parameters}"),
        // RFC 7617 2.1.
        (None, ChallengeScheme::Basic) => format!("{scheme} realm=\"{realm}\", charset=\"UTF-8\""),
        (None, ChallengeScheme::Bearer) => format!("{scheme} realm=\"{realm}\""),
    };
    if token_refused && challenge.scheme == ChallengeScheme::Bearer {
        text.push_str(
            ", error=\"invalid_token\", error_description=\"The token is invalid or has expired\"",
        );
    }
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schemes::CallerScheme;

    const BASIC: &str = r#"Basic realm="here", charset="UTF-8""#;
    const BEARER: &str = r#"Bearer realm="here""#;
    const REFUSED: &str = r#"Bearer realm="here", error="invalid_token", error_description="The token is invalid or has expired""#;
    const TOKEN_SERVER: &str = r#"Bearer realm="https://auth.example/token",service="registry""#;

    fn offered(offer: Offer, asker: Asker, path: &str, token_refused: bool) -> Vec<String> {
        let mut headers = HeaderMap::new();
        let challenges = Challenges { general: offer, routes: Vec::new(), sign_ins: Vec::new() };
        let refused = if token_refused { Refused::Token } else { Refused::Other };
        let (route, by_basic, has_page) = (None, false, false);
        challenges.add(
            &mut headers,
            Challenged { asker, route, path, refused, by_basic, has_page, keeps_cookies: true },
        );
        let values = headers.get_all(header::WWW_AUTHENTICATE).iter();
        values.map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    fn check(written: Option<&[&str]>, schemes: &[CallerScheme], expected: [&[&str]; 4]) {
        let parse = |texts: &[&str]| texts.iter().map(|t| Challenge::parse(t).unwrap()).collect();
        let written: Option<Vec<Challenge>> = written.map(parse);
        let schemes: Schemes = schemes.iter().copied().collect();
        let offer = || Offer::new("here", written.as_deref(), schemes);
        let found = [
            offered(offer(), Asker::Program, "/api", false),
            offered(offer(), Asker::Program, "/v2/", false),
            offered(offer(), Asker::Page, "/v2/", false),
            offered(offer(), Asker::Navigation, "/", false),
        ];
        assert_eq!(found, expected, "{written:?} {schemes:?}");
    }

    #[test]
    fn what_is_offered_fits_the_route_and_who_asks() {
        use CallerScheme::{Basic, Bearer, Cookie, Key};
        let all = &[Cookie, Basic, Bearer, Key];
        check(None, all, [&[BASIC, BEARER], &[BASIC], &[BEARER], &[BASIC]]);
        check(None, &[Basic, Key], [&[BASIC, BEARER], &[BASIC], &[BEARER], &[BASIC]]);
        check(None, &[Cookie, Basic], [&[BASIC], &[BASIC], &[BEARER], &[BASIC]]);
        check(None, &[Bearer], [&[BEARER]; 4]);
        check(None, &[Key], [&[BEARER]; 4]);
        check(None, &[Cookie], [&[BEARER]; 4]);
        let written = &["bearer", "basic"];
        let both: &[&str] = &[BEARER, BASIC];
        check(Some(written), all, [both, both, &[BEARER], both]);
        check(Some(&["bearer"]), all, [&[BEARER]; 4]);
        check(Some(&["basic"]), all, [&[BASIC], &[BASIC], &[BEARER], &[BASIC]]);
        check(Some(&[TOKEN_SERVER]), all, [&[TOKEN_SERVER]; 4]);
    }

    #[test]
    fn a_refused_token_is_named_where_bearer_is_offered() {
        let offer = || Offer::new("here", None, Schemes::ALL);
        assert_eq!(offered(offer(), Asker::Program, "/", true), [BASIC, REFUSED]);
        assert_eq!(offered(offer(), Asker::Page, "/", true), [REFUSED]);
        assert_eq!(offered(offer(), Asker::Navigation, "/", true), [BASIC]);
    }

    #[test]
    fn a_browser_is_known_by_its_fetch_mode() {
        for (modes, asker) in [
            (&[][..], Asker::Program),
            (&["navigate"], Asker::Navigation),
            (&["cors"], Asker::Page),
            (&["no-cors"], Asker::Page),
            (&["same-origin"], Asker::Page),
            (&["websocket"], Asker::Page),
            (&[""], Asker::Page),
            (&["navigate", "cors"], Asker::Page),
        ] {
            let field = |mode: &&'static str| (SEC_FETCH_MODE, HeaderValue::from_static(mode));
            let headers: HeaderMap = modes.iter().map(field).collect();
            assert_eq!(Asker::of(&Method::GET, &headers), asker, "{modes:?}");
        }
    }
}
