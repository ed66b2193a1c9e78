//! One line a request. The members are an interface: they are documented in
//! `gateway/CONFIG.md` and change only with notice.
//!
//! The query is never logged: it may hold a ticket or somebody's data.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Method, StatusCode};
use serde::Serialize;

use crate::auth::api_key::PREFIX;
use crate::auth::principal::Principal;
use crate::auth::text::is_hidden;
use crate::auth::time::Timestamp;

use super::log::{Colors, Paint, Style, begin_text, common_log_time, escape, rfc3339};

/// Of a line of text, with whatever a client sends.
pub(super) const TEXT_COLUMNS: usize = 159;
const METHOD_COLUMNS: usize = 7;
/// Time, level, method and status, and the blanks behind them and between the rest.
const FIXED_COLUMNS: usize = 24 + 1 + 5 + 1 + METHOD_COLUMNS + 1 + 3 + 1 + 4;
const MIN_PATH_COLUMNS: usize = 20;
/// Of a user name.
const WHO_COLUMNS: usize = 16;
/// The longest domain name, and a port.
const HOST_COLUMNS: usize = 253 + 6;
const UPGRADE_COLUMNS: usize = 64;

/// What was decided about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The caller was known and permitted.
    Allowed,
    /// The route asks nobody.
    Public,
    /// The gateway answered itself.
    Own,
    /// See the reason.
    Refused,
}

impl Decision {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Decision::Allowed => "allowed",
            Decision::Public => "public",
            Decision::Own => "own",
            Decision::Refused => "refused",
        }
    }
}

#[derive(Debug)]
pub struct AccessRecord {
    pub at: Timestamp,
    pub request_id: Arc<str>,
    pub client: IpAddr,
    pub method: Method,
    pub target: PathAndQuery,
    /// Apart: the future of a request has room for several records.
    pub asked: Box<Asked>,
    pub principal: Option<Arc<Principal>>,
    pub decision: Decision,
    /// Stable code; `ok` when nothing was refused.
    pub reason: &'static str,
    /// More about the reason, for the log only.
    pub detail: Option<String>,
    pub route: Option<Arc<str>>,
    pub upstream: Option<Arc<str>>,
    pub status: StatusCode,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub duration_us: u64,
    /// Until the head of the upstream's answer.
    pub upstream_us: Option<u64>,
    pub protocol: &'static str,
    /// `1.2` or `1.3`.
    pub tls: Option<&'static str>,
    /// The protocol that ALPN settled.
    pub alpn: Option<&'static str>,
    /// The trace id of W3C Trace Context.
    pub trace: Option<u128>,
    /// Asked for by the combined style only.
    pub agent: Option<Box<Agent>>,
}

/// What a request asked for beside its target, and how it came.
#[derive(Debug, Default)]
pub struct Asked {
    /// Where the connection was accepted.
    pub listener: Option<Arc<str>>,
    /// As it was written.
    pub host: Option<AskedHost>,
    /// The protocols that the request would switch to, as they were written.
    pub upgrade: Option<HeaderValue>,
    /// By which scheme a credential came, whether or not it was accepted. A public route
    /// looks at none.
    pub presented: Option<&'static str>,
}

/// A host where a request names it. Nothing of it has been judged.
#[derive(Debug, Clone)]
pub enum AskedHost {
    /// Of the target, over HTTP/2 `:authority`.
    Target(Authority),
    Field(HeaderValue),
}

impl AskedHost {
    /// The target's counts before the field (RFC 9112 3.2.2).
    #[must_use]
    pub fn of(target: Option<&Authority>, field: Option<&HeaderValue>) -> Option<Self> {
        let field = || field.cloned().map(AskedHost::Field);
        target.cloned().map(AskedHost::Target).or_else(field)
    }

    fn shown(&self) -> Cow<'_, str> {
        let bytes = match self {
            AskedHost::Target(authority) => authority.as_str().as_bytes(),
            AskedHost::Field(value) => value.as_bytes(),
        };
        // A password may stand in front.
        let host = bytes.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
        shown(String::from_utf8_lossy(host), HOST_COLUMNS)
    }
}

/// What a client says about itself; nothing of it is vouched for.
#[derive(Debug)]
pub struct Agent {
    pub referer: Option<HeaderValue>,
    pub user_agent: Option<HeaderValue>,
}

#[derive(Serialize)]
struct JsonLine<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    request_id: &'a str,
    client: IpAddr,
    method: &'a str,
    path: &'a str,
    protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alpn: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<TraceId>,
    // Behind what was there before: people match parts of lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    listener: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upgrade: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presented: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<uuid::Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    decision: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    status: u16,
    bytes_in: u64,
    bytes_out: u64,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_ms: Option<f64>,
}

/// Thirty-two hexadecimal digits.
struct TraceId(u128);

impl fmt::Display for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

impl Serialize for TraceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl AccessRecord {
    /// Appends the line; runs on the log's own thread.
    pub fn write(&self, style: Style, out: &mut Vec<u8>) {
        match style {
            Style::Json => self.write_json(out),
            Style::Text(colors) => self.write_text(colors, out),
            Style::Combined => self.write_combined(out),
        }
        out.push(b'\n');
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        let account = self.principal.as_ref().map(|principal| &principal.account);
        let line = JsonLine {
            kind: "access",
            time: rfc3339(self.at),
            request_id: &self.request_id,
            client: self.client,
            listener: self.asked.listener.as_deref(),
            host: self.asked.host.as_ref().map(AskedHost::shown),
            method: self.method.as_str(),
            path: &without_credentials(self.target.path()),
            protocol: self.protocol,
            upgrade: self
                .asked
                .upgrade
                .as_ref()
                .map(|upgrade| shown(written(Some(upgrade)), UPGRADE_COLUMNS)),
            tls: self.tls,
            alpn: self.alpn,
            trace_id: self.trace.map(TraceId),
            presented: self.asked.presented,
            scheme: self.principal.as_ref().map(|principal| principal.scheme().as_str()),
            key: self.key(),
            user_id: account.map(|account| account.id.0),
            user: account.map(|account| account.username.as_str()),
            decision: self.decision.as_str(),
            reason: self.reason,
            detail: self.detail.as_deref(),
            route: self.route.as_deref(),
            upstream: self.upstream.as_deref(),
            status: self.status.as_u16(),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            duration_ms: milliseconds(self.duration_us),
            upstream_ms: self.upstream_us.map(milliseconds),
        };
        // Plain text and numbers always serialize.
        let _ = serde_json::to_writer(out, &line);
    }

    /// When the last of it was done, which is the order of the log.
    #[must_use]
    pub fn completed_at(&self) -> Timestamp {
        Timestamp(self.at.0.saturating_add(self.duration_us / 1000))
    }

    /// The line as JSON, however the log is written.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        let mut line = Vec::new();
        self.write_json(&mut line);
        line
    }

    /// For people who follow it: less than is known, on one line of a terminal.
    fn write_text(&self, colors: Colors, out: &mut Vec<u8>) {
        let (level, paint) = match self.status.as_u16() {
            500.. => ("error", Paint::Red),
            400.. => ("warn", Paint::Yellow),
            _ => ("info", Paint::Green),
        };
        let reason = if self.reason == "ok" { "-" } else { self.reason };
        let who = self.principal.as_ref().map_or_else(
            || "-".to_owned(),
            |principal| {
                let name = escape(principal.account.username.as_str());
                let name = shorten(&name, WHO_COLUMNS);
                format!("{name}/{}", principal.scheme().as_str())
            },
        );
        let status = self.status.as_u16();
        let method = shorten(self.method.as_str(), METHOD_COLUMNS);
        let duration = match self.duration_us {
            0..100_000_000 => format!("{:.1}ms", milliseconds(self.duration_us)),
            long => format!("{}s", long / 1_000_000),
        };
        let id = format!("id={}", self.request_id);
        let columns = |text: &str| text.chars().count();
        let taken = [who.as_str(), reason, &duration, &id].map(columns).iter().sum::<usize>();
        let room = TEXT_COLUMNS.saturating_sub(FIXED_COLUMNS + taken);
        // An address may be as long as all the rest; the path says more.
        let mut client = format!(" {}", self.client);
        if columns(&client) + MIN_PATH_COLUMNS > room {
            client.clear();
        }
        let path = without_credentials(self.target.path());
        let path = escape(&path);
        let path = shorten(&path, room.saturating_sub(columns(&client)).max(8));
        let (status, reason) = (status.to_string(), colors.paint(paint, reason));
        let status = colors.paint(paint, &status);
        let id = colors.paint(Paint::Faint, &id);
        out.extend_from_slice(begin_text(colors, self.completed_at(), level).as_bytes());
        let line = format!(
            "{method:<METHOD_COLUMNS$} {status} {path} {who} {reason} {duration}{client} {id}"
        );
        out.extend_from_slice(line.as_bytes());
    }

    /// The beginning of the key, to recognise it by.
    fn key(&self) -> Option<&str> {
        let key = self.principal.as_ref()?.key()?;
        Some(&key.shown)
    }

    /// Apache's combined log format, which every log analyser reads.
    fn write_combined(&self, out: &mut Vec<u8>) {
        use std::io::Write;
        let user = self.principal.as_ref().map_or("-", |p| p.account.username.as_str());
        let version = if self.protocol == "h2" { "HTTP/2.0" } else { "HTTP/1.1" };
        let agent = self.agent.as_deref();
        let referer = written(agent.and_then(|agent| agent.referer.as_ref()));
        // A query may hold a secret, in a Referer as in a target.
        let referer = referer.split(['?', '#']).next().unwrap_or("-");
        let _ = write!(
            out,
            "{} - {} [{}] \"{} {} {version}\" {} {} \"{}\" \"{}\"",
            self.client,
            user.replace(' ', "_"),
            common_log_time(self.at),
            self.method,
            quotable(&without_credentials(self.target.path())),
            self.status.as_u16(),
            self.bytes_out,
            quotable(&without_credentials(referer)),
            quotable(&written(agent.and_then(|agent| agent.user_agent.as_ref()))),
        );
    }
}

/// The beginning of a JSON object in Base64, as the head of a token is.
const TOKEN: &str = "eyJ";

/// The path, without the text of a key or a token that somebody has written into it. A
/// credential is longer than the most of paths.
fn without_credentials(path: &str) -> Cow<'_, str> {
    const SHORTEST: usize = 24;
    if path.len() < SHORTEST || ![PREFIX, TOKEN, "%5F", "%5f"].iter().any(|it| path.contains(it)) {
        return Cow::Borrowed(path);
    }
    // A head, a body and a signature (RFC 7515 3.1).
    let token_begins = |segment: &str| {
        let is_one = |at: usize| segment[at..].bytes().filter(|byte| *byte == b'.').count() >= 2;
        let (at, _) = segment.match_indices(TOKEN).find(|(at, _)| is_one(*at))?;
        Some((at, TOKEN))
    };
    let segment = |written: &str| {
        // People and programs escape these two all the same.
        let plain = [("%5F", "_"), ("%5f", "_"), ("%2E", "."), ("%2e", ".")]
            .iter()
            .fold(written.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain));
        let key_begins = plain.find(PREFIX).map(|at| (at, PREFIX));
        match key_begins.or_else(|| token_begins(&plain)) {
            Some((at, beginning)) => format!("{}{beginning}…", &plain[..at]),
            None => written.to_owned(),
        }
    };
    Cow::Owned(path.split('/').map(segment).collect::<Vec<_>>().join("/"))
}

/// Text of a client's without credentials and without what commands a terminal, and no
/// longer than so many characters.
fn shown(text: Cow<'_, str>, columns: usize) -> Cow<'_, str> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain && text.len() <= columns && matches!(without_credentials(&text), Cow::Borrowed(_)) {
        return text;
    }
    Cow::Owned(shorten(&escape(&without_credentials(&text)), columns).into_owned())
}

/// The beginning and the end of a text that is longer than so many characters.
pub(super) fn shorten(text: &str, columns: usize) -> Cow<'_, str> {
    let length = text.chars().count();
    if length <= columns {
        return Cow::Borrowed(text);
    }
    let end = columns.saturating_sub(1) / 2;
    let begin = columns.saturating_sub(1) - end;
    let first = text.chars().take(begin);
    Cow::Owned(first.chain(['…']).chain(text.chars().skip(length - end)).collect())
}

#[expect(clippy::cast_precision_loss, reason = "a duration of 2^52 us is 142 years")]
fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1000.0
}

/// A field as text, whatever its bytes are.
fn written(field: Option<&HeaderValue>) -> Cow<'_, str> {
    field.map_or(Cow::Borrowed("-"), |value| String::from_utf8_lossy(value.as_bytes()))
}

/// As Apache quotes: nothing ends the field or the line before its time.
fn quotable(text: &str) -> String {
    use fmt::Write;
    let mut quoted = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            // Writing to a string does not fail.
            _ if letter.is_control() => drop(write!(quoted, "\\x{:02x}", letter as u32)),
            _ if is_hidden(letter) => drop(write!(quoted, "{}", letter.escape_unicode())),
            _ => quoted.push(letter),
        }
    }
    quoted
}

#[cfg(test)]
mod tests;
