//! HTTP/1.1 messages that two parsers could end at different places, byte for byte,
//! with their harmless look-alikes.
//!
//! Behind each goes one and the same well-formed request: it is answered exactly if
//! the gateway knows where the message before it ends. Each row names the defence
//! that is to hold, by its status and its reason in the log.

mod body;
mod connection;
mod head;

use std::collections::HashMap;
use std::net::Ipv4Addr;

use futures_util::StreamExt as _;
use futures_util::stream::iter;

use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::socket::{Dial, read_to_end, send};

use super::Stage;
use super::witness::{Message, Witness, address};

const BEHIND: &[u8] = b"GET /open/behind HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Connections at a time.
const AT_ONCE: usize = 16;

/// The status a client gets and the reason in the log.
type Defence = (u16, &'static str);

const REQUEST_LINE: Defence = (400, "framing_request_line");
const VERSION: Defence = (505, "framing_version");
const LINE_ENDING: Defence = (400, "framing_line_ending");
const FIELD: Defence = (400, "framing_field");
const HOST: Defence = (400, "host_malformed");
const METHOD: Defence = (405, "method_refused");
const LENGTH: Defence = (400, "framing_content_length");
const CODING: Defence = (501, "transfer_coding_unknown");
const CODINGS: Defence = (400, "framing_transfer_coding");
const BOTH: Defence = (400, "framing_length_and_coding");
const CHUNK: Defence = (400, "framing_chunk");
const TRAILER: Defence = (400, "framing_trailer");

#[derive(Clone, Copy, Debug)]
enum Verdict {
    /// Forwarded as one message with this body; the request behind it is answered.
    Passes(&'static str),
    /// The same, and the connection ends with it.
    Last(&'static str),
    /// Forwarded with this body; what stands behind it is refused.
    PassesThen(&'static str, Defence),
    /// Refused, and the connection is closed. No byte of it is forwarded.
    Refused(Defence),
    /// The same, but its head was sound: it may have been forwarded, and is never
    /// completed.
    Broken(Defence),
    /// Refused; the message was sound, so the request behind it is answered.
    Answered(Defence),
}
use Verdict::{Answered, Broken, Last, Passes, PassesThen, Refused};

/// Rows of one kind: what stands between `before` and `after`, and what becomes of
/// the whole.
struct Table {
    fact: &'static str,
    before: &'static [u8],
    after: &'static [u8],
    rows: &'static [(&'static str, &'static [u8], Verdict)],
}

struct Case {
    name: String,
    message: Vec<u8>,
    verdict: Verdict,
}

impl Table {
    fn cases(&self) -> impl Iterator<Item = Case> {
        self.rows.iter().map(|(row, bytes, verdict)| Case {
            name: format!("{}: {row}", self.fact),
            message: [self.before, bytes, self.after].concat(),
            verdict: *verdict,
        })
    }
}

#[tokio::test]
async fn a_message_is_read_in_one_way_or_refused() {
    let tables = [head::TABLES, body::TABLES, connection::TABLES];
    let written = tables.into_iter().flatten().flat_map(Table::cases);
    let cases: Vec<Case> = written.chain(head::bounds()).chain(body::bounds()).collect();
    let witness = Witness::start().await;
    let talks = cases.iter().enumerate().map(|(number, case)| {
        let (gateway, client) = (&witness.gateway, address(number));
        async move { (client, case, talk(gateway, client, &case.message).await) }
    });
    let answers: Vec<_> = iter(talks).buffer_unordered(AT_ONCE).collect().await;
    let clients = answers.iter().map(|(client, ..)| *client);
    let reasons = reasons(&witness.gateway, clients.collect()).await;
    let failures: Vec<String> = answers
        .iter()
        .filter_map(|(client, case, answer)| {
            let seen = witness.messages_of(*client);
            let reasons = &reasons[&client.to_string()];
            let failure = judge(case.verdict, &statuses(answer), reasons, &seen).err()?;
            let answer = String::from_utf8_lossy(answer);
            Some(format!("{}: {failure}: {reasons:?}, {seen:?}, {answer:?}", case.name))
        })
        .collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    witness.check(answers.iter().map(|(client, ..)| *client)).await;
}

async fn talk(gateway: &Gateway, client: Ipv4Addr, message: &[u8]) -> Vec<u8> {
    let mut stream = Dial::new(gateway).source(client).tls().await;
    send(&mut stream, &[message, BEHIND].concat()).await;
    read_to_end(&mut stream).await
}

/// What the log says about each client's requests, in order.
async fn reasons(gateway: &Gateway, clients: Vec<Ipv4Addr>) -> HashMap<String, Vec<String>> {
    eventually("every request in the log", async || {
        let mut reasons: HashMap<String, Vec<String>> = HashMap::new();
        for line in gateway.log_lines() {
            let text = |member: &str| line[member].as_str().unwrap_or_default().to_owned();
            if line["type"] == "access" {
                reasons.entry(text("client")).or_default().push(text("reason"));
            }
        }
        clients.iter().all(|client| reasons.contains_key(&client.to_string())).then_some(reasons)
    })
    .await
}

fn judge(
    verdict: Verdict,
    statuses: &[u16],
    reasons: &[String],
    seen: &[Message],
) -> Result<(), String> {
    let whole: Vec<&Message> = seen.iter().filter(|message| message.whole).collect();
    let is_behind = |message: &Message| message.line.starts_with("GET /open/behind ");
    // The statuses, the last reason, and the bodies that arrive, in order.
    let (answered, reason, bodies): (Vec<u16>, _, Vec<&str>) = match verdict {
        Passes(body) => (vec![200, 200], "ok", vec![body, ""]),
        Last(body) => (vec![200], "ok", vec![body]),
        PassesThen(body, (status, reason)) => (vec![200, status], reason, vec![body]),
        Refused((status, reason)) | Broken((status, reason)) => (vec![status], reason, vec![]),
        Answered((status, reason)) => (vec![status, 200], reason, vec![""]),
    };
    let cut_off = seen.len() - whole.len();
    let expects_behind = matches!(verdict, Passes(_) | Answered(_));
    let checks = [
        (statuses == answered, format!("answered {statuses:?} instead of {answered:?}")),
        (reasons.iter().any(|noted| noted == reason), format!("not for {reason}")),
        (
            whole
                .iter()
                .map(|message| &message.body[..])
                .eq(bodies.iter().map(|body| body.as_bytes())),
            format!("arrived instead of {bodies:?}"),
        ),
        (cut_off <= usize::from(matches!(verdict, Broken(_))), "something was cut off".to_owned()),
        (
            whole.last().is_some_and(|last| is_behind(last)) == expects_behind,
            "the request behind it".to_owned(),
        ),
    ];
    checks.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, failure)| Err(failure))
}

/// The statuses of all final answers in what came back: three digits behind each
/// version.
fn statuses(answer: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answer);
    let behind = text.split("HTTP/1.").skip(1).filter_map(|rest| rest.get(2..5));
    let statuses = behind.filter_map(|status| status.parse().ok());
    statuses.filter(|status| *status >= 200).collect()
}
