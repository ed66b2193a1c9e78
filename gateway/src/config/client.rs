//! `[client]`: who may speak for others.

use super::document::Section;

pub(super) fn read_client(section: Section<'_>) -> Vec<ipnet::IpNet> {
    let expected = "an address or a network like \"10.0.0.0/8\"";
    let mut networks = Vec::new();
    for found in section.texts("trusted_proxies", expected) {
        let address = || found.value.parse::<std::net::IpAddr>().map(ipnet::IpNet::from);
        match found.value.parse().or_else(|_| address()) {
            Ok(network) => networks.push(network),
            Err(_) => {
                let message = format!("expected {expected}, found {:?}", found.value);
                section.note(found.origin, "trusted_proxies", message, None);
            }
        }
    }
    section.finish();
    networks
}
