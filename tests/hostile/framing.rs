//! HTTP/1.1 messages that two parsers could end at different places, byte for byte,
//! with their harmless look-alikes.
//!
//! Behind each goes one and the same well-formed request: it is answered exactly if
//! the gateway knows where the message before it ends.

mod body;
mod connection;
mod head;

use crate::support::socket::{Dial, read_to_end, send};

use super::Stage;

const BEHIND: &[u8] = b"GET /open/behind HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[derive(Clone, Copy)]
enum Verdict {
    /// Forwarded with this body; the request behind it is answered.
    Passes(&'static str),
    /// Refused with one of these, and the connection is closed. No byte of it is
    /// forwarded.
    Refused(&'static [u16]),
    /// The same, but its head was sound: it may have been forwarded, and is not
    /// completed.
    Broken,
    /// Refused with this; the message was sound, so the request behind it is
    /// answered.
    Answered(u16),
}
use Verdict::{Answered, Broken, Passes, Refused};

const BAD: Verdict = Refused(&[400]);

/// A chunked body.
const HELLO: &[u8] = b"5\r\nhello\r\n0\r\n\r\n";

struct Case {
    name: &'static str,
    message: Vec<u8>,
    verdict: Verdict,
}

fn whole(name: &'static str, message: &[u8], verdict: Verdict) -> Case {
    Case { name, message: message.to_vec(), verdict }
}

/// A request of a line, further fields and a body.
fn request(name: &'static str, line: &[u8], fields: &[u8], body: &[u8], verdict: Verdict) -> Case {
    let end: &[u8] = if fields.is_empty() { b"\r\n" } else { b"\r\n\r\n" };
    whole(name, &[line, b"\r\nHost: a\r\n", fields, end, body].concat(), verdict)
}

/// Runs every case, then says which ones went wrong.
async fn check(cases: &[Case]) {
    let stage = Stage::start().await;
    let mut failures = Vec::new();
    for Case { name, message, verdict } in cases {
        if let Err(failure) = try_case(&stage, message, *verdict).await {
            failures.push(format!("{name}: {failure}"));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    let passed = cases.iter().filter(|case| matches!(case.verdict, Passes(_))).count();
    let answered = cases.iter().filter(|case| matches!(case.verdict, Answered(_))).count();
    stage.check_still_serves(2 * passed + answered).await;
}

async fn try_case(stage: &Stage, message: &[u8], verdict: Verdict) -> Result<(), String> {
    let upstream = &stage.upstream;
    let (bytes, requests, completed) =
        (upstream.bytes().len(), upstream.requests().len(), upstream.completed().len());
    let mut stream = Dial::new(&stage.gateway).tls().await;
    send(&mut stream, &[message, BEHIND].concat()).await;
    let answer = read_to_end(&mut stream).await;
    let statuses = statuses(&answer);
    let forwarded = &upstream.requests()[requests..];
    let as_expected = match verdict {
        Passes(body) => {
            statuses == [200, 200]
                && forwarded.len() == 2
                && forwarded[0].body == body.as_bytes()
                && forwarded[1].target() == "/open/behind"
        }
        Refused(allowed) => {
            statuses.len() == 1 && allowed.contains(&statuses[0]) && upstream.bytes().len() == bytes
        }
        Broken => statuses == [400] && upstream.completed().len() == completed,
        Answered(status) => {
            statuses == [status, 200]
                && forwarded.len() == 1
                && forwarded[0].target() == "/open/behind"
        }
    };
    as_expected.then_some(()).ok_or_else(|| {
        let answer = String::from_utf8_lossy(&answer);
        format!("answered {statuses:?} ({answer:?}), forwarded {forwarded:?}")
    })
}

/// The statuses of all answers in what came back: three digits behind each version.
fn statuses(answer: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answer);
    let behind = text.split("HTTP/1.").skip(1).filter_map(|rest| rest.get(2..5));
    behind.filter_map(|status| status.parse().ok()).collect()
}
