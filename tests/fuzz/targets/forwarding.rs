//! What a request says of its client: read strictly from a trusted proxy, not at all from
//! anybody else, and never other than the nearest proxy says.
//!
//! An input is lines of `name:value`.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};
use portcullis::canonical::host::host_name;
use portcullis::config::{Claim, ForwardedFamily, Forwarding};
use portcullis::pipeline::client::{Client, Peer, identify};
use portcullis::pipeline::connection::PeerSource;

use crate::fields::parse;

const EVERYTHING: [Claim; 4] = [Claim::For, Claim::Proto, Claim::Host, Claim::Port];
const FAMILIES: [ForwardedFamily; 2] = [ForwardedFamily::XForwarded, ForwardedFamily::Forwarded];
const CLIENT: &str = "198.51.100.7";

pub(crate) fn run(data: &[u8]) {
    let headers = parse(data);
    for family in FAMILIES {
        check_ignored(&headers, family);
        check_believed(&headers, family);
        check_nearest(headers.clone(), family);
    }
}

fn seen(headers: &HeaderMap, family: ForwardedFamily, peer: &str, source: PeerSource) -> Client {
    let forwarding = Forwarding { family, believed: EVERYTHING.to_vec() };
    let peer = Peer { address: address(peer), source, scheme: "http" };
    let proxies = ["10.0.0.0/8".parse().expect("a network")];
    identify(peer, headers, &proxies, &forwarding)
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn check_ignored(headers: &HeaderMap, family: ForwardedFamily) {
    for (peer, source) in [("192.0.2.1", PeerSource::Socket), ("10.0.0.1", PeerSource::ProxyHeader)]
    {
        let client = seen(headers, family, peer, source);
        assert_eq!((client.address, client.scheme), (address(peer), "http"));
        assert_eq!((client.host, client.port), (None, None));
    }
}

fn check_believed(headers: &HeaderMap, family: ForwardedFamily) {
    let client = seen(headers, family, "10.0.0.1", PeerSource::Socket);
    assert!(["http", "https"].contains(&client.scheme));
    assert!(client.host.is_none_or(|host| host_name(&host).is_some()), "a host that is none");
    assert_ne!(client.port, Some(0));
    // Of the other family nothing is read.
    let mut other = headers.clone();
    match family {
        ForwardedFamily::XForwarded => drop(other.remove("forwarded")),
        ForwardedFamily::Forwarded => {
            for name in ["for", "proto", "host", "port"] {
                other.remove(format!("x-forwarded-{name}"));
            }
        }
    }
    let alone = seen(&other, family, "10.0.0.1", PeerSource::Socket);
    assert_eq!((client.address, client.scheme), (alone.address, alone.scheme));
}

/// A line that a trusted proxy adds at the end says who the client is, whatever stands before.
fn check_nearest(mut headers: HeaderMap, family: ForwardedFamily) {
    let (name, value) = match family {
        ForwardedFamily::XForwarded => ("x-forwarded-for", CLIENT.to_owned()),
        ForwardedFamily::Forwarded => ("forwarded", format!("for={CLIENT};proto=https")),
    };
    headers.append(name, HeaderValue::from_str(&value).expect("a value"));
    let client = seen(&headers, family, "10.0.0.1", PeerSource::Socket);
    assert_eq!(client.address, address(CLIENT));
    if family == ForwardedFamily::Forwarded {
        assert_eq!(client.scheme, "https");
    }
}
