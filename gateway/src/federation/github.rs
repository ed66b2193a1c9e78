//! GitHub, and GitHub Enterprise: a code becomes an access token, the token is
//! used to ask who its holder is, and is then forgotten.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::request::Builder;
use http::{HeaderMap, Request};
use http_body_util::Full;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use crate::auth::federation::{FederatedIdentity, FederationError, Grant, IdentityProvider};
use crate::auth::secret::Secret;
use crate::config;

use super::https::{Answer, Service};

/// Exchanges under way at once.
const EXCHANGES: usize = 32;
/// With those that wait for their turn, which counts within their own deadline.
const PLACES: usize = 512;
/// Codes have twenty digits; what is far from that is not sent on.
const MAX_CODE_BYTES: usize = 256;
const MAX_ANSWER_BYTES: usize = 64 << 10;
const MAX_LIST_BYTES: usize = 1 << 20;
/// The most GitHub puts on a page.
const PER_PAGE: usize = 100;
const MAX_PAGES: usize = 10;

pub struct GitHub {
    client_id: String,
    client_secret: Secret,
    web: Service,
    api: Service,
    organizations: Vec<String>,
    teams: Vec<config::Team>,
    timeout: Duration,
    places: Semaphore,
    turns: Semaphore,
}

impl GitHub {
    /// # Errors
    /// When a configured host cannot be in a certificate.
    pub fn new(config: &config::GitHub, connector: &TlsConnector) -> Result<Self, String> {
        Ok(Self {
            client_id: config.client_id.clone(),
            client_secret: config.client_secret.clone(),
            web: Service::new(config.base_url.clone(), connector.clone())?,
            api: Service::new(config.api_url.clone(), connector.clone())?,
            organizations: config.organizations.clone(),
            teams: config.teams.clone(),
            timeout: config.timeout,
            places: Semaphore::new(PLACES),
            turns: Semaphore::new(EXCHANGES),
        })
    }

    async fn identify(&self, grant: Grant) -> Result<FederatedIdentity, FederationError> {
        if !is_token_text(grant.code.expose(), MAX_CODE_BYTES) {
            return Err(FederationError::CodeRefused);
        }
        let crowded = || FederationError::Unavailable("too many sign-ins at once".into());
        let _place = self.places.try_acquire().map_err(|_| crowded())?;
        let _turn = self.turns.acquire().await.map_err(|_| crowded())?;
        let token = self.redeem(&grant).await?;
        let answer = self.ask(&token, "/user", MAX_ANSWER_BYTES).await?;
        let user: User = read(&answer, "the user")?;
        // The login becomes part of a path.
        if user.id == 0 || !is_name(&user.login) {
            return Err(FederationError::InvalidResponse(
                "the user has no usable id or login".into(),
            ));
        }
        self.check_membership(&token, &user.login).await?;
        let email = self.primary_email(&token).await?;
        let avatar = user.avatar_url.filter(|url| is_picture(url));
        let name = user.name.filter(|name| !name.trim().is_empty());
        Ok(FederatedIdentity { subject: user.id, login: user.login, email, name, avatar })
    }

    /// The code for an access token (RFC 6749 4.1.3, RFC 7636 4.5).
    async fn redeem(&self, grant: &Grant) -> Result<Secret, FederationError> {
        let verifier = grant.verifier.as_ref().map(|verifier| ("code_verifier", verifier.expose()));
        let redirect = grant.redirect.as_deref().map(|redirect| ("redirect_uri", redirect));
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", self.client_secret.expose())
            .append_pair("code", grant.code.expose())
            .extend_pairs(verifier)
            .extend_pairs(redirect)
            .finish();
        let request = Request::post("/login/oauth/access_token")
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = send(&self.web, request, form, MAX_ANSWER_BYTES).await?;
        // GitHub says 200 with an error in it; RFC 6749 says 400.
        if !answer.status.is_success() && answer.status.as_u16() != 400 {
            return Err(trouble(&answer));
        }
        match read_as(&answer, "the access token")? {
            Redeemed::Refused { error } => Err(refusal(&error)),
            Redeemed::Token { access_token, token_type } => {
                let token = Secret::new(access_token);
                if token_type.eq_ignore_ascii_case("bearer") && is_token_text(token.expose(), 4096)
                {
                    Ok(token)
                } else {
                    Err(FederationError::InvalidResponse("not a bearer token".into()))
                }
            }
        }
    }

    /// Lets a member of any configured organisation or team through, and everybody
    /// when there is none.
    async fn check_membership(&self, token: &Secret, login: &str) -> Result<(), FederationError> {
        if !self.is_restricted() {
            return Ok(());
        }
        for organization in &self.organizations {
            if self.is_member(token, &format!("/user/memberships/orgs/{organization}")).await? {
                return Ok(());
            }
        }
        for config::Team { organization, slug } in &self.teams {
            let path = format!("/orgs/{organization}/teams/{slug}/memberships/{login}");
            if self.is_member(token, &path).await? {
                return Ok(());
            }
        }
        Err(FederationError::NotAllowed)
    }

    /// Invited is not yet a member. 403 comes from organisations that keep their
    /// memberships from this application.
    async fn is_member(&self, token: &Secret, path: &str) -> Result<bool, FederationError> {
        let answer = self.ask(token, path, MAX_ANSWER_BYTES).await?;
        match answer.status.as_u16() {
            403 => {
                tracing::warn!(path, "membership not visible to this application at GitHub");
                Ok(false)
            }
            404 => Ok(false),
            _ => Ok(read::<Membership>(&answer, "a membership")?.state == "active"),
        }
    }

    /// The primary address if GitHub has verified it, and if it may be seen at all.
    async fn primary_email(&self, token: &Secret) -> Result<Option<String>, FederationError> {
        for page in 1..=MAX_PAGES {
            let path = format!("/user/emails?per_page={PER_PAGE}&page={page}");
            let answer = self.ask(token, &path, MAX_LIST_BYTES).await?;
            if matches!(answer.status.as_u16(), 403 | 404) {
                return Ok(None);
            }
            let listed: Vec<Address> = read(&answer, "the e-mail addresses")?;
            let last = listed.len() < PER_PAGE;
            if let Some(primary) = listed.into_iter().find(|address| address.primary) {
                return Ok(primary.verified.then_some(primary.email));
            }
            if last {
                break;
            }
        }
        Ok(None)
    }

    async fn ask(
        &self,
        token: &Secret,
        path: &str,
        limit: usize,
    ) -> Result<Answer, FederationError> {
        let bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()));
        let mut bearer =
            bearer.map_err(|_| FederationError::InvalidResponse("the token".into()))?;
        bearer.set_sensitive(true);
        let request = Request::get(path)
            .header(ACCEPT, "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28")
            .header(AUTHORIZATION, bearer);
        let answer = send(&self.api, request, String::new(), limit).await?;
        if is_rate_limited(&answer) {
            return Err(FederationError::Unavailable("GitHub's rate limit is reached".into()));
        }
        Ok(answer)
    }
}

#[async_trait]
impl IdentityProvider for GitHub {
    fn client_id(&self) -> &str {
        &self.client_id
    }

    fn is_restricted(&self) -> bool {
        !self.organizations.is_empty() || !self.teams.is_empty()
    }

    fn authorize_url(&self, state: &str, challenge: &str, redirect: &str) -> String {
        let scope = if self.is_restricted() {
            "read:user user:email read:org"
        } else {
            "read:user user:email"
        };
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("scope", scope)
            .append_pair("state", state)
            .append_pair("code_challenge", challenge)
            .append_pair("code_challenge_method", "S256")
            .finish();
        format!("{}/login/oauth/authorize?{query}", self.web.url())
    }

    async fn exchange(&self, grant: Grant) -> Result<FederatedIdentity, FederationError> {
        tokio::time::timeout(self.timeout, self.identify(grant))
            .await
            .unwrap_or(Err(FederationError::Timeout))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Redeemed {
    Refused { error: String },
    Token { access_token: String, token_type: String },
}

#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    name: Option<String>,
    avatar_url: Option<String>,
}

#[derive(Deserialize)]
struct Address {
    email: String,
    primary: bool,
    verified: bool,
}

#[derive(Deserialize)]
struct Membership {
    state: String,
}

async fn send(
    service: &Service,
    request: Builder,
    body: String,
    limit: usize,
) -> Result<Answer, FederationError> {
    let request = request
        .header(USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| FederationError::Unavailable(error.to_string()))?;
    service.send(request, limit).await
}

/// What a good answer says.
fn read<T: DeserializeOwned>(answer: &Answer, what: &str) -> Result<T, FederationError> {
    if answer.status.as_u16() == 200 { read_as(answer, what) } else { Err(trouble(answer)) }
}

/// The parser's own words would repeat what it read.
fn read_as<T: DeserializeOwned>(answer: &Answer, what: &str) -> Result<T, FederationError> {
    serde_json::from_slice(&answer.body).map_err(|_| {
        FederationError::InvalidResponse(format!("{what} is not the JSON it should be"))
    })
}

/// What an answer means that is neither good nor foreseen.
fn trouble(answer: &Answer) -> FederationError {
    match answer.status.as_u16() {
        300..400 => FederationError::InvalidResponse("a redirect".into()),
        status => FederationError::Unavailable(format!("GitHub answers {status}")),
    }
}

/// Why there is no token. What is not about the code is about us.
fn refusal(error: &str) -> FederationError {
    match error {
        "bad_verification_code" | "invalid_grant" => FederationError::CodeRefused,
        "unverified_user_email" => FederationError::EmailUnverified,
        _ if is_name(error) => FederationError::Unavailable(format!("GitHub says {error}")),
        _ => FederationError::InvalidResponse("an unreadable error".into()),
    }
}

/// GitHub limits with 429, or with 403 and a word about it.
fn is_rate_limited(answer: &Answer) -> bool {
    let spent = |headers: &HeaderMap| {
        headers.contains_key(RETRY_AFTER)
            || headers.get("x-ratelimit-remaining").is_some_and(|left| left == "0")
    };
    match answer.status.as_u16() {
        429 => true,
        403 => spent(&answer.headers),
        _ => false,
    }
}

fn is_token_text(text: &str, limit: usize) -> bool {
    (1..=limit).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Letters, digits, `-` and `_`: what logins are made of.
fn is_name(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn is_picture(url: &str) -> bool {
    url.starts_with("https://") && is_token_text(url, 2048)
}
