//! One line a request. The members are an interface: they are documented in
//! `gateway/CONFIG.md` and change only with notice.
//!
//! The query is never logged: it may hold a ticket or somebody's data.

use std::net::IpAddr;
use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use serde::Serialize;

use crate::auth::principal::Principal;
use crate::auth::time::Timestamp;

use super::log::{Style, escape, rfc3339};

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
    pub protocol: &'static str,
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
    scheme: Option<&'static str>,
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
}

impl AccessRecord {
    /// Appends the line; runs on the log's own thread.
    pub fn write(&self, style: Style, out: &mut Vec<u8>) {
        match style {
            Style::Json => self.write_json(out),
            Style::Text => self.write_text(out),
        }
        out.push(b'\n');
    }

    #[expect(clippy::cast_precision_loss, reason = "a duration of 2^52 us is 142 years")]
    fn milliseconds(&self) -> f64 {
        self.duration_us as f64 / 1000.0
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        let account = self.principal.as_ref().map(|principal| &principal.account);
        let line = JsonLine {
            kind: "access",
            time: rfc3339(self.at),
            request_id: &self.request_id,
            client: self.client,
            method: self.method.as_str(),
            path: self.target.path(),
            protocol: self.protocol,
            scheme: self.principal.as_ref().map(|principal| principal.scheme().as_str()),
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
            duration_ms: self.milliseconds(),
        };
        // Plain text and numbers always serialize.
        let _ = serde_json::to_writer(out, &line);
    }

    fn write_text(&self, out: &mut Vec<u8>) {
        use std::io::Write;
        let user = self.principal.as_ref().map_or("-", |p| p.account.username.as_str());
        let scheme = self.principal.as_ref().map_or("-", |p| p.scheme().as_str());
        // Writing to a vector does not fail.
        let _ = write!(
            out,
            "{} {} {} {} {} {} user={user} scheme={scheme} {} reason={} route={} upstream={} in={} out={} {:.1}ms id={}",
            rfc3339(self.at),
            self.client,
            self.protocol,
            self.method,
            escape(self.target.path()),
            self.status.as_u16(),
            self.decision.as_str(),
            self.reason,
            self.route.as_deref().unwrap_or("-"),
            self.upstream.as_deref().unwrap_or("-"),
            self.bytes_in,
            self.bytes_out,
            self.milliseconds(),
            self.request_id,
        );
        if let Some(detail) = &self.detail {
            let _ = write!(out, " detail={}", escape(detail));
        }
    }
}
