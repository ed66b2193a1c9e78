//! The gateway's own endpoints: whose contract, who asks, decode, perform, encode.

mod audit;

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::request::Parts;
use http::{HeaderMap, Method, Response, header};
use http_body::Body;
use http_body_util::BodyExt;

use crate::auth::error::{Error, StoreError};
use crate::auth::logout::Unread;
use crate::auth::principal::{Principal, Scheme};
use crate::auth::register::Registering;
use crate::auth::secret::Secret;
use crate::auth::session_client::{SessionClient, UserAgent};
use crate::canonical::path::{Judged, Reading};
use crate::config::schemes::{CallerScheme, Schemes};
use crate::console;
use crate::contract::shared_path::RequestTraits;
use crate::dialect::delivery::{ACCESS_COOKIE, Delivery, DeliveryRule, REFRESH_COOKIE};
use crate::dialect::disambiguate::{self, Chosen};
use crate::dialect::flow::{self, Beginner, FLOW_COOKIE};
use crate::dialect::perform::perform;
use crate::dialect::typed::TYPED_COOKIE;
use crate::dialect::{
    self, Attempt, Candidate, Command, Contract, DecodeError, Dialect, Dialects, Endpoint,
    EndpointAccess, Input, Operation, Presentation, Resolution,
};
use crate::telemetry::access_log::Decision;
use crate::telemetry::audit::{AuditRecord, Event, Outcome};
use crate::telemetry::request_scope;

use super::authenticate::request::{prove, read_credential};
use super::authenticate::{self, BrowserTokens, Presented};
use super::body::progress::RequestBodyError;
use super::body::request::{self, ClientBody, RequestBody};
use super::body::response::ResponseBody;
use super::client::{Client, Origin};
use super::gateway::Gateway;
use super::reason::{Reason, Rejection, Tried};
use super::record::RequestRecord;
use super::respond::challenge::Asker;
use super::respond::own_answer;
use super::respond::visit::Visit;
use super::site::Site;
use super::throttle::Caller;
use super::{authorize, cookie, cors, cross_site};
use audit::{Entry, outcome_of};

/// No body of the auth API needs more.
const MAX_BODY_BYTES: u64 = 64 * 1024;
/// For the whole of such a body, and of one from somebody who has proven who that is.
const BODY_DEADLINE: Duration = Duration::from_secs(30);
const BODY_DEADLINE_AUTHENTICATED: Duration = Duration::from_secs(90);

/// Which of them a client means decides whose rules hold.
const OF_TWO_CONTRACTS: &str = "The body has the members of two contracts; send those of one";

/// Whether a request is for one of our endpoints. `readings` are those of its path.
///
/// # Errors
/// When a server might read one of our paths in what is none: it is neither ours nor an
/// upstream's.
pub fn resolve(
    dialects: &Dialects,
    (path, readings): (&Judged<'_>, &[String]),
    method: &Method,
) -> Result<Resolution, Rejection> {
    let resolution = match path.reading {
        Reading::One | Reading::Delimited => dialects.resolve(method, &path.normal),
        Reading::Several(_) => Resolution::NotOurs,
    };
    let is_read_as_ours = || readings.iter().any(|reading| dialects.owner(reading).is_some());
    match resolution {
        Resolution::NotOurs if is_read_as_ours() => {
            Err(Reason::PathAmbiguous
                .with_detail("the upstream may read a path of the gateway's own"))
        }
        resolution => Ok(resolution),
    }
}

/// A request for an endpoint of the gateway's own.
pub struct Own {
    /// Of the contracts that share the path.
    pub candidates: Vec<Candidate>,
    /// What stands for the segments in braces of its path.
    pub parameters: Vec<String>,
    pub caller: Caller,
    pub client: Client,
    pub host: String,
}

/// A request to one of our endpoints, with what was found out about it.
pub struct Call<'a> {
    pub caller: &'a Caller,
    pub parts: &'a Parts,
    pub origin: Origin<'a>,
    /// What stands for the segments in braces of the path.
    pub parameters: &'a [String],
}

/// Serves one of our endpoints.
///
/// # Errors
/// Why there is no outcome.
pub async fn serve(
    gateway: &Arc<Gateway>,
    site: &Site,
    record: &mut RequestRecord,
    own: Own,
    (parts, body): (Parts, ClientBody),
) -> Result<Response<ResponseBody>, Rejection> {
    let (candidates, call) = (&own.candidates[..], Call::of(&own, &parts));
    record.access.decision = Decision::Own;
    record.cors = cors::of_endpoint(site, candidates);
    let all = |is: fn(&Endpoint) -> bool| candidates.iter().all(|one| is(&one.endpoint));
    if let Some(first) = candidates.first().filter(|_| all(takes_secret)) {
        call.check_page(site, &record.visit, first.dialect.as_ref())?;
    }
    let is_form = matches!(candidates, [only] if is_console_form(&only.endpoint));
    if !is_form && all(|endpoint| endpoint.attempt != Attempt::None) {
        // Before the body is read: a locked-out address is told at once.
        gateway.throttle.check(call.caller.source)?;
    }
    let (Candidate { endpoint, dialect }, principal, body) = match candidates {
        // What was typed is shown again, whyever it is refused.
        [only] if is_form => {
            record.dialect = Some(Arc::clone(&only.dialect));
            let body = collect(record, body).await?;
            note_typed(record, only, &call, &body);
            (only, authenticate_caller((gateway, site), record, only, &call).await?, body)
        }
        [only] => {
            record.dialect = Some(Arc::clone(&only.dialect));
            // Before the body is read: nobody uploads to be told 401.
            let principal = authenticate_caller((gateway, site), record, only, &call).await?;
            (only, principal, collect(record, body).await?)
        }
        several => {
            let body = collect(record, body).await?;
            let traits = traits(call.parts, &body)?;
            let chosen = match disambiguate::choose(several, &traits).ok_or(Reason::Internal)? {
                Chosen::One(chosen) => chosen,
                Chosen::Several(default) => {
                    record.dialect = Some(Arc::clone(&default.dialect));
                    return Err(Reason::BodyMalformed(OF_TWO_CONTRACTS.to_owned()).into());
                }
            };
            record.dialect = Some(Arc::clone(&chosen.dialect));
            (chosen, authenticate_caller((gateway, site), record, chosen, &call).await?, body)
        }
    };
    match endpoint.operation {
        Operation::Describe => {
            return Ok(own_answer(site.dialects.document(dialect.contract())));
        }
        Operation::ConsoleSignOut => {
            return Box::pin(sign_out((gateway, site), record, &call)).await;
        }
        Operation::ConsoleAsset | Operation::ConsolePage(_) => {
            let page = show((gateway, site), record, endpoint.operation, &call, principal);
            return Box::pin(page).await;
        }
        _ => {}
    }
    record.ends_flow = endpoint.operation == Operation::FinishGithub;
    let flow_cookie =
        if record.ends_flow { cookie::find(&call.parts.headers, FLOW_COOKIE)? } else { None };
    let taking_back = taking_back(site, flow_cookie);
    let dialect = taking_back.as_ref().unwrap_or(dialect);
    record.dialect = Some(Arc::clone(dialect));
    let input = Input {
        content_type: content_type(call.parts),
        body: &body,
        query: call.parts.uri.query(),
        parameters: call.parameters,
        refresh_cookie: refresh_cookie(endpoint, dialect.as_ref(), &call, &body)?,
        flow_cookie,
    };
    record.by_cookie |= input.refresh_cookie.is_some();
    if taking_back.is_some() {
        record.typed = dialect.typed(endpoint.operation, &input).map(Box::new);
    }
    let command = dialect.decode(endpoint.operation, &input).map_err(|error| match error {
        DecodeError::MediaType => Reason::MediaType,
        DecodeError::Malformed(words) => Reason::BodyMalformed(words),
    })?;
    note_link(record, &command);
    // Else its session would be renewed, and who has signed out be signed in again.
    let command = match command {
        Command::Logout if record.by_cookie && record.session.is_some() => Command::LogoutOfBrowser,
        command => command,
    };
    let outcome =
        carry_out(gateway, (endpoint, dialect), command, &call, principal.as_ref()).await?;
    if begins_session(&outcome) && dialect.contract() == Contract::Console {
        // The browser has one session, and keeps no other behind it.
        end_replaced(gateway, &call).await;
    }
    let delivery =
        if record.by_cookie { DeliveryRule::Always(Delivery::Cookie) } else { dialect.delivery() };
    let delivery = delivery.choose(|| {
        // Whoever asks: a script must not read what a cookie kept from it, and the browser
        // must not keep a token that is spent. GitHub sends a browser back by a redirect,
        // which is a foreign page's.
        record.by_cookie
            || record.ends_flow
            || cross_site::is_own_page(&call.parts.headers, call.origin)
    });
    let (now, operation) = (gateway.core.clock().now(), endpoint.operation);
    let typed = record.typed.as_deref();
    let context = dialect::Context { now, delivery, operation, typed };
    let forgets = record.by_cookie && record.signs_out;
    let mut response = own_answer(dialect.encode(outcome, context)?);
    if forgets && !response.headers().get_all(header::SET_COOKIE).iter().any(cookie::sets_ours) {
        response.headers_mut().extend(Delivery::Cookie.forget());
    }
    Ok(response)
}

fn begins_session(outcome: &dialect::Outcome) -> bool {
    use dialect::Outcome::{BackFromGithub, Registered, SignedIn};
    matches!(outcome, SignedIn(..) | Registered(..) | BackFromGithub(..))
}

/// Our tokens that came in cookies, whatever they are good for.
fn tokens_of<'a>(call: &Call<'a>) -> Vec<&'a str> {
    let found = [REFRESH_COOKIE, ACCESS_COOKIE].map(|name| cookie::find(&call.parts.headers, name));
    found.into_iter().filter_map(|found| found.ok().flatten()).collect()
}

/// Ends the session that a browser had before it began another.
async fn end_replaced(gateway: &Gateway, call: &Call<'_>) {
    let tokens = tokens_of(call);
    if let Err(error) = gateway.core.end_named(&tokens).await {
        tracing::warn!(%error, "previous session of a browser could not be ended");
    }
}

/// Ends the session that the browser's cookies name: whatever else it sent, and whether or not
/// the session is good still.
async fn sign_out(
    (gateway, site): (&Gateway, &Site),
    record: &mut RequestRecord,
    call: &Call<'_>,
) -> Result<Response<ResponseBody>, Rejection> {
    let console = site.console.as_ref().ok_or(Reason::RouteUnknown)?;
    record.signs_out = true;
    record.by_cookie = true;
    let ended = gateway.core.end_named(&tokens_of(call)).await;
    let (outcome, reason, account) = match &ended {
        Ok(None) => return Ok(own_answer(console.signed_out())),
        Ok(Some(account)) => (Outcome::Success, "ok", Some(*account)),
        Err(error) => (
            outcome_of(error),
            Rejection::from_core(error.clone(), Tried::RefreshToken).reason.code(),
            None,
        ),
    };
    gateway.sink.audit(AuditRecord {
        at: gateway.core.clock().now(),
        event: Event::Logout,
        outcome,
        reason,
        account: account.and_then(|account| gateway.core.standing().account(account)),
        actor: call.caller.actor(Some(Scheme::Bearer.as_str())),
        detail: None,
    });
    match ended {
        Ok(_) => Ok(own_answer(console.signed_out())),
        Err(error) => Err(Rejection::from_core(error, Tried::RefreshToken)),
    }
}

/// Whoever has sent a browser to GitHub takes it back: the console, which has no path of its
/// own for that where a contract has one.
fn taking_back(site: &Site, flow_cookie: Option<&str>) -> Option<Arc<dyn Dialect>> {
    let kept = flow_cookie.and_then(flow::parse_cookie)?;
    let console = site.console.as_ref().filter(|_| kept.by == Beginner::Console)?;
    Some(Arc::clone(console) as Arc<dyn Dialect>)
}

fn is_console_form(endpoint: &Endpoint) -> bool {
    matches!(endpoint.operation, Operation::Console(_))
}

fn note_link(record: &mut RequestRecord, command: &Command) {
    if let Command::FollowLink { link, reply: Presentation::Page, .. } = command {
        record.link = Some(Box::new(Secret::new(link.expose().to_owned())));
    }
}

fn note_typed(record: &mut RequestRecord, candidate: &Candidate, call: &Call<'_>, body: &[u8]) {
    let input = Input { body, parameters: call.parameters, ..Input::default() };
    let typed = candidate.dialect.typed(candidate.endpoint.operation, &input);
    record.typed = typed.map(Box::new);
}

/// A page of the console, or a file of its pages.
async fn show(
    (gateway, site): (&Gateway, &Site),
    record: &mut RequestRecord,
    operation: Operation,
    call: &Call<'_>,
    principal: Option<Arc<Principal>>,
) -> Result<Response<ResponseBody>, Rejection> {
    let console = site.console.as_ref().ok_or(Reason::RouteUnknown)?;
    let Operation::ConsolePage(row) = operation else {
        return Ok(own_answer(console.asset(call.parameters).ok_or(Reason::RouteUnknown)?));
    };
    let headers = &call.parts.headers;
    let principal = match principal {
        Some(principal) => Some(principal),
        // Who has a session is known on pages for everybody too; who has none, or no good one,
        // is told so by the page that it wants.
        None => recognize(gateway, headers).await,
    };
    let kept = cookie::find(headers, TYPED_COOKIE).ok().flatten();
    let typed = kept.map(|kept| console.restore(kept, call.parts.uri.path()));
    let asked = console::PageRequest {
        typed: typed.as_deref().unwrap_or_default(),
        core: &gateway.core,
        observed: gateway,
        principal: principal.as_deref(),
        query: call.parts.uri.query(),
        parameters: call.parameters,
        keeps_cookies: record.visit.keeps_cookies(record.scheme),
        basic: record.visit.basic,
        from_here: cross_site::is_from_here(headers, call.origin),
    };
    let shown = console.show(row, asked).await;
    let answer =
        shown.map_err(|error| Rejection::from_core(error, Tried::Credential(Scheme::Bearer)))?;
    let no_page = || Reason::Internal.with_detail("the console has no such page");
    Ok(own_answer(answer.ok_or_else(no_page)?))
}

/// Who has a session. Nobody is asked, so nothing counts as an attempt.
async fn recognize(gateway: &Gateway, headers: &HeaderMap) -> Option<Arc<Principal>> {
    let cookies = Schemes::from_iter([CallerScheme::Cookie]);
    let found = authenticate::presented(gateway.core.as_ref(), headers, cookies, None).ok()?;
    let Presented::Cookie(BrowserTokens { access, renewal }) = found.presented else { return None };
    if let Some(known) = access.and_then(|token| gateway.core.verify_access(token).ok()) {
        return Some(known);
    }
    let renewed = gateway.core.renew(renewal?, access).await;
    renewed.ok().map(|(principal, _)| principal)
}

/// Who calls an endpoint, if it has to be known.
async fn authenticate_caller(
    (gateway, site): (&Gateway, &Site),
    record: &mut RequestRecord,
    candidate: &Candidate,
    call: &Call<'_>,
) -> Result<Option<Arc<Principal>>, Rejection> {
    let endpoint = &candidate.endpoint;
    if takes_secret(endpoint) {
        // Before the throttle is asked: a foreign page costs its visitor no attempt.
        call.check_page(site, &record.visit, candidate.dialect.as_ref())?;
    }
    if endpoint.attempt != Attempt::None {
        gateway.throttle.check(call.caller.source)?;
    }
    if endpoint.access == EndpointAccess::Public {
        return Ok(None);
    }
    // Before a credential is tried: from elsewhere nobody guesses at an administrator's here.
    if endpoint.access == EndpointAccess::Administrator {
        let client = call.caller.client.to_canonical();
        if !site.admin_networks.iter().any(|network| network.contains(&client)) {
            return Err(Reason::AdminNetwork.into());
        }
    }
    let presented =
        read_credential(&gateway.core, site, record, &call.parts.headers, Schemes::ALL, None)?;
    if presented.is_ambient() {
        call.check_page(site, &record.visit, candidate.dialect.as_ref())?;
    }
    let is_token =
        matches!(presented, Presented::Nothing | Presented::Bearer(_) | Presented::Cookie(_));
    if endpoint.access == EndpointAccess::Bearer && !is_token {
        return Err(Reason::AccessTokenRequired.into());
    }
    record.signs_out =
        matches!(candidate.endpoint.operation, Operation::Logout | Operation::EndSession);
    record.by_cookie = matches!(presented, Presented::Cookie(_));
    let token = presented.token().map(str::to_owned);
    let principal = match prove(gateway, record, call.caller, presented).await {
        Ok(principal) => principal,
        Err(lost) if matches!(lost.reason, Reason::StoreUnavailable | Reason::StoreBusy) => {
            return Err(end_unread(gateway, candidate, call, token, lost).await);
        }
        Err(rejection) => return Err(rejection),
    };
    authorize::own_endpoint(&principal)?;
    if candidate.dialect.contract() == Contract::Console && principal.key().is_some() {
        // Its pages tell of people what keys are not told elsewhere either.
        return Err(Reason::NotForKeys.into());
    }
    if endpoint.access == EndpointAccess::Administrator {
        authorize::administrator(&principal)?;
    }
    Ok(Some(principal))
}

/// What can be ended though nobody can say whose it is holds here. Everything else stays
/// as `lost` says.
async fn end_unread(
    gateway: &Gateway,
    Candidate { endpoint, dialect }: &Candidate,
    call: &Call<'_>,
    token: Option<String>,
    lost: Rejection,
) -> Rejection {
    let what = match endpoint.operation {
        Operation::Logout => Some((Event::Logout, Unread::Token)),
        Operation::EndSession => Some((Event::Logout, Unread::Session)),
        operation @ Operation::DeleteKey => {
            let parameters = call.parameters;
            let input = Input {
                content_type: None,
                body: b"",
                query: None,
                parameters,
                refresh_cookie: None,
                flow_cookie: None,
            };
            match dialect.decode(operation, &input) {
                Ok(Command::DeleteKey { key: Some(key) }) => {
                    Some((Event::KeyRevoke, Unread::Key(key)))
                }
                _ => None,
            }
        }
        _ => None,
    };
    let (Some((event, what)), Some(token)) = (what, token) else { return lost };
    match gateway.core.end_unread(&token, what).await {
        Err(Error::Store(StoreError::Held)) => {}
        _ => return lost,
    }
    let rejection = Rejection::from(StoreError::Held);
    gateway.sink.audit(AuditRecord {
        at: gateway.core.clock().now(),
        event,
        outcome: Outcome::Failed,
        reason: rejection.reason.code(),
        // Nobody here knows it.
        account: None,
        actor: call.caller.actor(Some(Scheme::Bearer.as_str())),
        detail: match what {
            Unread::Key(key) => Some(format!("key {}", key.0)),
            Unread::Token | Unread::Session => None,
        },
    });
    rejection
}

/// Whether the body brings what proves who somebody is, or makes an account: another
/// site could try its visitors' luck with it, or sign them in as somebody of its choice.
fn takes_secret(endpoint: &Endpoint) -> bool {
    endpoint.access == EndpointAccess::Public || endpoint.attempt != Attempt::None
}

impl<'a> Call<'a> {
    fn of(own: &'a Own, parts: &'a Parts) -> Self {
        let (caller, parameters) = (&own.caller, &own.parameters);
        Self { caller, parts, origin: own.client.origin(&own.host), parameters }
    }

    /// The console's forms come from pages of its own origin, whichever others may act
    /// elsewhere, and from somebody at a window: no script sends them, and reads what comes.
    fn check_page(
        &self,
        site: &Site,
        visit: &Visit,
        dialect: &dyn Dialect,
    ) -> Result<(), Rejection> {
        if dialect.contract() != Contract::Console {
            return cross_site::check(self.parts, self.origin, &site.origins);
        }
        cross_site::check(self.parts, self.origin, &[])?;
        let is_safe = [Method::GET, Method::HEAD].contains(&self.parts.method);
        if !is_safe && visit.by == Asker::Page {
            return Err(Reason::CrossSite.with_detail("a script or a frame, and no window"));
        }
        Ok(())
    }

    /// As a session that it opens remembers it.
    fn session_client(&self) -> SessionClient {
        let user_agent = self.parts.headers.get(header::USER_AGENT);
        let user_agent = user_agent.and_then(|value| UserAgent::read(value.as_bytes()));
        SessionClient { address: self.caller.client, user_agent }
    }
}

fn content_type(parts: &Parts) -> Option<&str> {
    parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())
}

fn traits(parts: &Parts, body: &[u8]) -> Result<RequestTraits, Rejection> {
    Ok(RequestTraits {
        media: dialect::body::media(content_type(parts)),
        members: dialect::body::members(body),
        authorization: parts.headers.contains_key(header::AUTHORIZATION),
        refresh_cookie: cookie::find(&parts.headers, REFRESH_COOKIE)?.is_some(),
    })
}

/// The refresh token of a browser, where one is wanted and none was sent in the body.
fn refresh_cookie<'a>(
    endpoint: &Endpoint,
    dialect: &dyn Dialect,
    call: &Call<'a>,
    body: &[u8],
) -> Result<Option<&'a str>, Rejection> {
    let wanted = endpoint.attempt == Attempt::RefreshToken && body.is_empty();
    if !wanted || !dialect.delivery().uses_cookies() {
        return Ok(None);
    }
    cookie::find(&call.parts.headers, REFRESH_COOKIE)
}

/// Performs a command, in the turn of its address if it tries a secret.
async fn carry_out(
    gateway: &Arc<Gateway>,
    (endpoint, dialect): (&Endpoint, &Arc<dyn Dialect>),
    command: Command,
    call: &Call<'_>,
    principal: Option<&Arc<Principal>>,
) -> Result<dialect::Outcome, Rejection> {
    let caller = call.caller;
    let entries = Entry::of(gateway, &command, caller, principal).await;
    let open = gateway.core.registration() == Registering::Open;
    if open
        && matches!(command, Command::Register(_))
        && let Err(error) = gateway.core.count_registration(caller.source).await
    {
        let outcome = Err(error.clone());
        for entry in entries {
            entry.write(gateway, &outcome, Tried::Password);
        }
        return Err(Rejection::from_core(error, Tried::Password));
    }
    // Whose password is tried.
    let name = match &command {
        Command::Login { name, .. } => Some(name.clone()),
        Command::Register(new) => {
            let name = new.login_name();
            gateway.core.may_register_again(name, caller.source).then(|| name.to_owned())
        }
        _ if endpoint.attempt == Attempt::Password => {
            principal.map(|principal| principal.account.username.as_str().to_owned())
        }
        _ => None,
    };
    let tried = match endpoint.attempt {
        Attempt::RefreshToken => Tried::RefreshToken,
        // A token that has ended meanwhile is refused as one (S2-20).
        Attempt::None => Tried::Credential(Scheme::Bearer),
        Attempt::Password | Attempt::Code => Tried::Password,
    };
    // Hashing for a stranger takes turns as well, though nothing is tried.
    let hashes = matches!(command, Command::Register(_) | Command::FollowLink { .. });
    let takes_turns = endpoint.attempt != Attempt::None || hashes;
    let work = {
        let (gateway, dialect) = (Arc::clone(gateway), Arc::clone(dialect));
        let (client, principal) = (call.session_client(), principal.map(Arc::clone));
        async move {
            let caller = (&client, principal.as_deref());
            let health = || gateway.health();
            let (core, mut joined) = (&gateway.core, None);
            let outcome =
                perform(core, dialect.as_ref(), command, caller, health, &mut joined).await;
            // Here, where an attempt is finished whether or not its client waits for it.
            for entry in entries {
                if let Some(joined) = joined.take() {
                    entry.write_joined(&gateway, &joined);
                }
                entry.write(&gateway, &outcome, tried);
            }
            outcome
        }
    };
    let throttle = &gateway.throttle;
    // No turn is taken where nothing is counted: a neighbour's made-up tokens would be in the way.
    let counts = endpoint.attempt != Attempt::RefreshToken || caller.counts(tried);
    if endpoint.attempt == Attempt::Code || !counts {
        throttle.attempt_elsewhere(caller, tried, work).await
    } else if takes_turns {
        throttle.attempt(caller, name.as_deref(), tried, work).await
    } else {
        // A task of its own: what has begun is finished and audited, whether or not the
        // client waits for it.
        match request_scope::spawn(work).await {
            Ok(outcome) => outcome.map_err(|error| Rejection::from_core(error, tried)),
            Err(lost) => Err(Reason::Internal.with_detail(lost)),
        }
    }
}

async fn collect(record: &mut RequestRecord, body: ClientBody) -> Result<BytesMut, Rejection> {
    let principal = record.access.principal.as_deref();
    let deadline = principal.map_or(BODY_DEADLINE, |_| BODY_DEADLINE_AUTHENTICATED);
    let window = request::window(&record.rules().timeouts, principal);
    let mut body = RequestBody::new(body, Some(MAX_BODY_BYTES), window, None)?;
    record.body = Some(body.progress());
    let expected = usize::try_from(body.size_hint().lower().min(MAX_BODY_BYTES)).unwrap_or(0);
    let mut collected = BytesMut::with_capacity(expected);
    let read = async {
        while let Some(frame) = body.frame().await {
            if let Some(data) = frame?.data_ref() {
                collected.extend_from_slice(data);
            }
        }
        Ok::<(), RequestBodyError>(())
    };
    match tokio::time::timeout(deadline, read).await {
        Ok(Ok(())) => Ok(collected),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(Reason::BodyStalled.into()),
    }
}

#[cfg(test)]
mod tests;
