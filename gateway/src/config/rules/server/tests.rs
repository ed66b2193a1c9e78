use std::net::ToSocketAddrs;

use proptest::prelude::*;

use super::*;
use crate::config::file::{Sources, load};

fn address_of(url: &str) -> Option<Address> {
    let to = Some(url.to_owned());
    let file = Some(("config.toml".to_owned(), String::new()));
    let config = load(Sources { file, to, ..Sources::default() });
    address(&config.unwrap_or_else(|problems| panic!("{url}: {problems}")).upstreams[0])
}

#[test]
fn upstreams_with_one_address_are_one_server() {
    for (left, right, same) in [
        ("echo", "echo", true),
        ("http://app:3000", "http://APP.:3000", true),
        ("http://app", "http://app:80", true),
        ("https://app", "https://app:443", true),
        ("http://[2001:db8::1]:1", "http://[2001:DB8:0::1]:1", true),
        ("http://[::ffff:10.0.0.1]:1", "http://10.0.0.1:1", true),
        ("http://10.1:1", "http://10.0.0.1:1", true),
        ("http://010.1:1", "http://8.0.0.1:1", true),
        ("http://app:3000", "https://app:3000", true),
        ("http://app:3000", "http://app:3001", false),
        ("http://app", "https://app", false),
        ("http://app:1", "http://other:1", false),
        ("http://10.1:1", "http://10.0.1.0:1", false),
        ("echo", "http://app:1", false),
    ] {
        assert_eq!(address_of(left) == address_of(right), same, "{left} {right}");
    }
}

#[test]
fn every_way_to_the_own_machine_is_one_host() {
    let own = address_of("http://127.0.0.1:1");
    for host in [
        "localhost",
        "LOCALHOST.",
        "app.localhost",
        "a.b.Localhost.",
        "127.0.0.1.",
        "127.255.0.9",
        "127.1",
        "0x7F.1",
        "0177.1",
        "2130706433",
        "017700000001",
        "0x7f000001",
        "127.0.0.01",
        "0.0.0.0",
        "0",
        "0x0",
        "00.0",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:0]",
        "[::ffff:127.0.0.1]",
        "[::ffff:0.0.0.0]",
        "[::FFFF:7f00:2]",
    ] {
        assert_eq!(address_of(&format!("http://{host}:1")), own, "{host}");
    }
    for host in ["localhost.example", "notlocalhost", "128.1", "0.0.0.1", "[::2]", "127.1.example"]
    {
        assert_ne!(address_of(&format!("http://{host}:1")), own, "{host}");
    }
}

#[test]
fn what_is_no_address_stays_a_name() {
    for name in [
        "",
        ".",
        "1.",
        ".1",
        "1..1",
        "256.1",
        "1.256.1",
        "1.2.65536",
        "1.16777216",
        "4294967296",
        "1.2.3.4.5",
        "08",
        "0x",
        "0xg",
        "1a",
        "+1",
        "-1",
        "1.+1",
        " 1",
        "٣",
    ] {
        assert_eq!(read_ipv4(name), None, "{name:?}");
    }
}

/// A number in one of its spellings.
fn spelled(number: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        Just(format!("{number}")),
        Just(format!("0{number:o}")),
        Just(format!("000{number:o}")),
        Just(format!("0x{number:x}")),
        Just(format!("0X{number:X}")),
        Just(format!("0x00{number:x}")),
    ]
}

/// An address and one of its spellings: as one to four numbers.
fn spelling() -> impl Strategy<Value = (Ipv4Addr, String)> {
    let bits = prop_oneof![any::<u32>(), Just(0), Just(0x7f00_0001), 0..256_u32];
    (bits, 0..4_u32).prop_flat_map(|(bits, octets)| {
        let octet = |at: u32| bits >> (24 - 8 * at) & 255;
        let rest = u64::from(bits) & ((1 << (32 - 8 * octets)) - 1);
        let numbers = (0..octets).map(octet).chain(u32::try_from(rest).ok());
        let spellings: Vec<_> = numbers.map(spelled).collect();
        spellings.prop_map(move |words| (Ipv4Addr::from_bits(bits), words.join(".")))
    })
}

proptest! {
    #[test]
    fn every_spelling_of_an_address_is_one_host((ip, spelling) in spelling()) {
        let plain = address_of(&format!("http://{ip}:1"));
        prop_assert_eq!(address_of(&format!("http://{spelling}:1")), plain, "{}", spelling);
    }

    /// What connects to upstreams asks it. Of what is an address it asks nobody else.
    #[test]
    fn the_resolver_takes_a_spelling_for_the_same_address((ip, spelling) in spelling()) {
        let found: Vec<_> = (&*spelling, 1).to_socket_addrs().expect("an address").collect();
        prop_assert!(found.iter().all(|it| it.ip() == IpAddr::V4(ip)), "{spelling}: {found:?}");
    }

    #[test]
    fn any_text_is_an_address_or_a_name(text in "[0-9a-fx.+:-]{0,20}|\\PC{0,20}") {
        let _ = read_ip(&text);
    }
}
