//! An upstream that reads messages in the strictest way there is and tells apart
//! whom they came from. What it cannot read so, it keeps as a fault.
//!
//! Every client has a loopback address of its own, and nobody is trusted to name
//! another: so `X-Forwarded-For` says which of them a message belongs to.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Upstream, Wire};

/// Fields that decide where a message ends or who may read it.
const FRAMING: [&str; 7] = [
    "connection",
    "content-length",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// A message whose head was sound.
#[derive(Clone, Debug)]
pub struct Message {
    client: String,
    pub line: String,
    pub body: Vec<u8>,
    pub whole: bool,
}

#[derive(Default)]
struct Journal {
    messages: Vec<Message>,
    faults: Vec<String>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Journal>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Journal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct Witness {
    pub gateway: Gateway,
    _upstream: Upstream,
    journal: Shared,
}

impl Witness {
    /// A gateway before this upstream. `/open` is public, `/closed` is not, and
    /// there is no other route.
    pub async fn start() -> Self {
        let journal = Shared::default();
        let kept = journal.clone();
        let upstream = Upstream::raw(move |wire| serve(wire, kept.clone())).await;
        let config = format!(
            "{}[[route]]\npath = \"/open\"\npublic = true\nupstream = \"app\"\n\
             [[route]]\npath = \"/closed\"\nupstream = \"app\"\n\
             [client]\ntrusted_proxies = []\n",
            upstream.section("app")
        );
        Self { gateway: Gateway::start(&config).await, _upstream: upstream, journal }
    }

    /// What came from this client so far.
    pub fn messages_of(&self, client: Ipv4Addr) -> Vec<Message> {
        let client = client.to_string();
        let journal = self.journal.lock();
        journal.messages.iter().filter(|message| message.client == client).cloned().collect()
    }

    /// Nothing unreadable has arrived, nor anything from nobody in `clients`; and
    /// somebody else is still served.
    pub async fn check(&self, clients: impl IntoIterator<Item = Ipv4Addr>) {
        Client::anonymous(&self.gateway).get("/open/last").await.expect(200);
        let journal = self.journal.lock();
        assert!(journal.faults.is_empty(), "\n{}", journal.faults.join("\n"));
        let mut known: BTreeSet<String> =
            clients.into_iter().map(|client| client.to_string()).collect();
        known.insert(Ipv4Addr::LOCALHOST.to_string());
        let strange = journal.messages.iter().find(|message| !known.contains(&message.client));
        assert!(strange.is_none(), "{strange:?}");
    }
}

/// A client's own address: the `number`th.
pub fn address(number: usize) -> Ipv4Addr {
    let number = u32::try_from(number).expect("as many as there are loopback addresses");
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 0).to_bits() + number)
}

async fn serve(wire: Wire<TcpStream>, journal: Shared) {
    let mut stream = BufReader::new(wire);
    loop {
        match read_message(&mut stream, &journal).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(fault) => return journal.lock().faults.push(fault),
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

type Stream = BufReader<Wire<TcpStream>>;

/// Whether a message came whole; what was wrong with it when that was the sender's
/// doing and not its leaving.
async fn read_message(stream: &mut Stream, journal: &Shared) -> Result<bool, String> {
    let Some(line) = read_line(stream).await? else { return Ok(false) };
    let Some(fields) = read_fields(stream).await? else { return Ok(false) };
    let of = |wanted: &str| -> Vec<&str> {
        let lines = fields.iter().filter(|(name, _)| name == wanted);
        lines.map(|(_, value)| value.as_str()).collect()
    };
    let (hosts, lengths, codings) = (of("host"), of("content-length"), of("transfer-encoding"));
    let length = match (&lengths[..], &codings[..]) {
        ([], []) => Some(0),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(length.parse::<usize>().map_err(|error| format!("{length}: {error}"))?)
        }
        ([], ["chunked"]) => None,
        _ => return Err(format!("{line}: lengths {lengths:?}, codings {codings:?}")),
    };
    if hosts.len() != 1 || line.split(' ').count() != 3 || !line.contains(" /") {
        return Err(format!("{line}: hosts {hosts:?}"));
    }
    let [client] = of("x-forwarded-for")[..] else { return Err(format!("{line}: {fields:?}")) };
    let client = client.to_owned();
    let number = {
        let mut journal = journal.lock();
        let (body, whole) = (Vec::new(), false);
        journal.messages.push(Message { client, line, body, whole });
        journal.messages.len() - 1
    };
    let whole = match length {
        Some(length) => read_bytes(stream, length).await,
        None => read_chunks(stream).await?,
    };
    let Some(body) = whole else { return Ok(false) };
    let message = &mut journal.lock().messages[number];
    (message.body, message.whole) = (body, true);
    Ok(true)
}

async fn read_chunks(stream: &mut Stream) -> Result<Option<Vec<u8>>, String> {
    let mut body = Vec::new();
    loop {
        let Some(line) = read_line(stream).await? else { return Ok(None) };
        let size = usize::from_str_radix(&line, 16).ok();
        let size = size.filter(|_| line.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let size = size.ok_or_else(|| format!("{line:?} is no size of a chunk"))?;
        if size == 0 {
            return Ok(read_fields(stream).await?.map(|_| body));
        }
        let Some(data) = read_bytes(stream, size + 2).await else { return Ok(None) };
        let data = data.strip_suffix(b"\r\n").ok_or("a chunk longer than its size")?;
        body.extend_from_slice(data);
    }
}

/// Fields up to the empty line. None twins another by its spelling.
async fn read_fields(stream: &mut Stream) -> Result<Option<Vec<(String, String)>>, String> {
    let mut fields = Vec::new();
    loop {
        let Some(line) = read_line(stream).await? else { return Ok(None) };
        if line.is_empty() {
            return Ok(Some(fields));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| format!("{line:?}: no colon"))?;
        let folded = name.to_ascii_lowercase().replace(['_', '.'], "-");
        let disguised = name.contains('_') || folded != name && FRAMING.contains(&&*folded);
        if disguised || name.is_empty() || name.contains([' ', '\t']) {
            return Err(format!("{line:?}: a name to be read in two ways"));
        }
        fields.push((folded, value.trim().to_owned()));
    }
}

async fn read_line(stream: &mut Stream) -> Result<Option<String>, String> {
    let mut line = Vec::new();
    match stream.read_until(b'\n', &mut line).await {
        Ok(count) if count > 0 && line.ends_with(b"\n") => {}
        _ => return Ok(None),
    }
    let text = String::from_utf8_lossy(&line).into_owned();
    let text = text.strip_suffix("\r\n").ok_or_else(|| format!("{text:?}: no CRLF"))?;
    if text.chars().any(|letter| letter.is_control() && letter != '\t') {
        return Err(format!("{text:?}: a control character"));
    }
    Ok(Some(text.to_owned()))
}

async fn read_bytes(stream: &mut Stream, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(bytes)
}
