//! What clients say about where they come from and what they really want: it decides
//! nothing, unless a trusted proxy says where it heard from the client.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::sample::select;

use crate::support::frames::{Http2, Outcome};
use crate::support::gateway::Gateway;
use crate::support::property;
use crate::support::raw::raw;
use crate::support::upstream::{Received, Upstream, ok};

use super::documented;

const UNLIMITED: &str = "[limits]\nrequests_per_second = 1000000\nburst = 1000000\n";

/// Of the family that is removed whole.
const FORWARDED: [&str; 8] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-uri",
    "x-forwarded-method",
    "forwarded",
];

const VALUES: [&str; 14] = [
    "203.0.113.7",
    "198.51.100.1, 203.0.113.9",
    "203.0.113.7, 127.0.0.9",
    "127.0.0.9",
    "2001:db8::7",
    "nonsense",
    "203.0.113.7, nonsense",
    "/open/other",
    "/closed",
    "/health",
    "DELETE",
    "https://localhost/open",
    "evil.example",
    "for=203.0.113.7;host=evil.example;proto=http",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Http1,
    /// Named in `Connection`, as if they were no more than a matter of this hop.
    Nominated,
    Http2,
}

#[derive(Clone, Debug)]
struct Claims {
    trusted: bool,
    way: Way,
    method: &'static str,
    public: bool,
    fields: Vec<(String, &'static str)>,
}

fn any_claims() -> impl Strategy<Value = Claims> {
    let family = FORWARDED.map(str::to_owned).to_vec();
    // The first name more often than the rest: it is the one that may count.
    let often = vec![FORWARDED[0].to_owned(); 8];
    let names = [family, often, documented("overrides")].concat();
    let fields = vec((select(names), select(VALUES.to_vec())), 1..10);
    let way = select(vec![Way::Http1, Way::Nominated, Way::Http2]);
    (any::<bool>(), way, select(vec!["GET", "POST"]), any::<bool>(), fields).prop_map(
        |(trusted, way, method, public, fields)| Claims { trusted, way, method, public, fields },
    )
}

impl Claims {
    /// The rightmost address that is no trusted proxy's, as far as the list can be
    /// read; the peer's when it is not trusted to tell.
    fn client(&self) -> IpAddr {
        let peer = IpAddr::from([127, 0, 0, 1]);
        let lists = self.fields.iter().filter(|(name, _)| name == FORWARDED[0]);
        let lists: Vec<&str> = lists.map(|(_, value)| *value).collect();
        let mut client = peer;
        for entry in lists.join(",").rsplit(',').filter(|_| self.trusted) {
            let Ok(address) = entry.trim().parse() else { break };
            client = address;
            if !client.is_loopback() {
                break;
            }
        }
        client
    }
}

struct Stage {
    upstream: Upstream,
    trusting: Gateway,
    wary: Gateway,
    asked: AtomicUsize,
}

impl Stage {
    async fn start() -> Self {
        let upstream = Upstream::http1(ok).await;
        let config = upstream.routes() + UNLIMITED;
        let nobody = format!("{config}[client]\ntrusted_proxies = []\n");
        let (trusting, wary) = (Gateway::start(&config).await, Gateway::start(&nobody).await);
        Self { upstream, trusting, wary, asked: AtomicUsize::new(0) }
    }

    async fn check(&self, claims: Claims) {
        let gateway = if claims.trusted { &self.trusting } else { &self.wary };
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let path = if claims.public { "/open" } else { "/closed" };
        let path = format!("{path}/{number}");
        let before = self.upstream.completed().len();
        let status = if claims.way == Way::Http2 {
            ask_http2(gateway, &claims, &path).await
        } else {
            ask_http1(gateway, &claims, &path).await
        };
        assert_eq!(status, if claims.public { 200 } else { 401 }, "{claims:?}");
        let line = gateway.wait_for_recent_log(|line| line["path"] == path).await;
        assert_eq!(line["client"], claims.client().to_string(), "{line}");
        assert_eq!(line["method"], claims.method, "{line}");
        let completed = self.upstream.completed();
        match &completed[before..] {
            [received] if claims.public => check_told(received, &claims, &path),
            [] => assert!(!claims.public, "{claims:?} did not arrive"),
            received => panic!("{claims:?} became {received:?}"),
        }
    }
}

async fn ask_http1(gateway: &Gateway, claims: &Claims, path: &str) -> u16 {
    let lines = claims.fields.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let lines = lines.collect::<Vec<_>>().concat();
    let mut stream = raw(gateway).await;
    let head = format!("{} {path} HTTP/1.1\r\nHost: localhost\r\n", claims.method);
    let names: Vec<&str> = claims.fields.iter().map(|(name, _)| name.as_str()).collect();
    let names = match claims.way {
        Way::Nominated => names.join(", "),
        _ => "keep-alive".to_owned(),
    };
    stream.send(format!("{head}Connection: Host, {names}\r\n{lines}\r\n")).await;
    stream.read_response().await.status.as_u16()
}

async fn ask_http2(gateway: &Gateway, claims: &Claims, path: &str) -> u16 {
    let fields = [(":method", claims.method), (":scheme", "https"), (":path", path)];
    let claimed = claims.fields.iter().map(|(name, value)| (name.as_str(), *value));
    let fields: Vec<_> =
        fields.into_iter().chain([(":authority", "localhost")]).chain(claimed).collect();
    let mut http2 = Http2::connect(gateway).await;
    http2.request(1, &fields).await;
    match http2.outcome(1).await {
        Outcome::Answered(status) => status,
        other => panic!("{claims:?}: {other:?}"),
    }
}

/// What the reference says of fields on their way to an upstream.
fn check_told(received: &Received, claims: &Claims, path: &str) {
    assert_eq!((received.method.as_str(), received.target()), (claims.method, path));
    let client = claims.client();
    let via = if client.to_string() == "127.0.0.1" { "" } else { ", 127.0.0.1" };
    let node = if client.is_ipv6() { format!("\"[{client}]\"") } else { client.to_string() };
    let told = [
        ("x-forwarded-for", format!("{client}{via}")),
        ("x-forwarded-host", "localhost".to_owned()),
        ("x-forwarded-proto", "https".to_owned()),
        ("forwarded", format!("for={node};host=\"localhost\";proto=https")),
    ];
    for (name, value) in &told {
        assert_eq!(received.fields(name), [value], "{claims:?}");
    }
    for (name, _) in &claims.fields {
        let set_by_us = told.iter().any(|(told, _)| told == name);
        assert_eq!(received.fields(name).len(), usize::from(set_by_us), "{name}: {received:?}");
    }
}

#[test]
fn no_claim_changes_what_is_decided_or_who_is_counted() {
    property::check(64, &any_claims(), Stage::start(), Stage::check);
}

/// One request a second comes back to a bucket of five; a hundred that each name
/// an address of their own draw from it all the same.
#[tokio::test]
async fn a_stranger_has_one_bucket_whatever_addresses_it_names() {
    let limits = "[limits]\nrequests_per_second = 1\nburst = 5\n[client]\ntrusted_proxies = []\n";
    let public = "[[route]]\npublic = true\nupstream = \"echo\"\n";
    let gateway = Gateway::start(&format!("{public}{limits}")).await;
    let mut refused = 0;
    for number in 0..100 {
        let mut stream = raw(&gateway).await;
        let claims: String = ["X-Forwarded-For", "X-Real-IP", "True-Client-IP", "Forwarded"]
            .map(|name| format!("{name}: 203.0.113.{number}\r\n"))
            .concat();
        stream.send(format!("GET / HTTP/1.1\r\nHost: localhost\r\n{claims}\r\n")).await;
        refused += usize::from(stream.read_response().await.status == 429);
    }
    assert!(refused > 0, "each address it named had a bucket");
    gateway.counted(&["rate_limited"], 1).await;
}
