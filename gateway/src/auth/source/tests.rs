use proptest::prelude::*;

use super::*;

#[test]
fn clients_are_counted_by_their_ipv4_address_or_the_64_of_their_ipv6_address() {
    for (ip, counted) in [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2::", "2001:db8:1:2::"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::"),
        ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ("::1", "::"),
    ] {
        let source = Source::of(ip.parse().unwrap());
        assert_eq!(source.address().to_string(), counted, "{ip}");
    }
}

proptest! {
    #[test]
    fn a_source_is_known_again_by_its_address(four: u32, six: u64) {
        for source in [Source::V4(four), Source::V6(six), Source::V6(0)] {
            prop_assert_eq!(Source::of(source.address()), source);
        }
    }
}
