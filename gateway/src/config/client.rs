//! `[client]`: who may speak for others, and what of it is believed.

use ipnet::IpNet;

use super::document::Section;
use super::problem::Origin;
use super::reader::Located;
use super::record::{fixed, no_items};
use super::units::parse_network;
use super::value::nearest;
use super::{Claim, ForwardedFamily, Forwarding};

const CLAIMS: [(&str, Claim); 4] =
    [("for", Claim::For), ("proto", Claim::Proto), ("host", Claim::Host), ("port", Claim::Port)];

pub(super) fn read_client(section: Section<'_>) -> (Vec<IpNet>, Forwarding) {
    let written = section.texts("trusted_proxies", A_NETWORK);
    section.falls_back("trusted_proxies", no_items());
    let proxies = networks(&section, "trusted_proxies", written);
    let families =
        [("x-forwarded", ForwardedFamily::XForwarded), ("forwarded", ForwardedFamily::Forwarded)];
    let family = section.choice("forwarded", &families, ForwardedFamily::XForwarded);
    let forwarding = Forwarding { family, believed: read_claims(&section) };
    for key in ["forwarded", "believe"] {
        let origin = section.given_at(key);
        if proxies.is_empty() && origin != Origin::Absent {
            let help = "list the proxies in client.trusted_proxies";
            section.note(origin, key, "requires client.trusted_proxies", help);
        }
    }
    section.finish();
    (proxies, forwarding)
}

pub(super) const A_NETWORK: &str = "an address or a network like \"10.0.0.0/8\"";

/// The networks that a key lists.
pub(super) fn networks(
    section: &Section<'_>,
    name: &'static str,
    written: Vec<Located<String>>,
) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for found in written {
        match parse_network(&found.value) {
            Some(network) => networks.push(network),
            None => {
                let message = format!("expected {A_NETWORK}, found {:?}", found.value);
                let help = "write an address like \"10.0.0.7\", or a network like \"10.0.0.0/8\"";
                section.note(found.origin, name, message, help);
            }
        }
    }
    networks
}

fn read_claims(section: &Section<'_>) -> Vec<Claim> {
    let expected = "one of `for`, `proto`, `host`, `port`";
    let found = section.words("believe", expected, &CLAIMS.map(|(word, _)| word));
    section.falls_back("believe", fixed(vec!["for", "proto"]));
    if section.given_at("believe") == Origin::Absent {
        return vec![Claim::For, Claim::Proto];
    }
    let mut claims = Vec::new();
    for found in found {
        match CLAIMS.iter().find(|(word, _)| *word == found.value) {
            Some((_, claim)) => claims.push(*claim),
            None => {
                let message = format!("expected {expected}, found {:?}", found.value);
                let help = nearest(&found.value, CLAIMS.iter().map(|(word, _)| *word));
                let help = help.unwrap_or_else(|| {
                    "write a list like believe = [\"for\", \"proto\"]".to_owned()
                });
                section.note(found.origin, "believe", message, help);
            }
        }
    }
    claims
}
