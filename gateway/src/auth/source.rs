//! Where clients are, as limits count them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address of a client as limits count it: an IPv4 address, or the /64 of an
/// IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    V4(u32),
    V6(u64),
}

impl Source {
    /// A client has a whole /64 of IPv6 to itself and can use each address in it.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Source::V4(ip.to_bits()),
            IpAddr::V6(ip) => Source::V6(u64::try_from(ip.to_bits() >> 64).unwrap_or(u64::MAX)),
        }
    }

    /// The address, or the first one of the /64.
    #[must_use]
    pub fn address(self) -> IpAddr {
        match self {
            Source::V4(bits) => Ipv4Addr::from_bits(bits).into(),
            Source::V6(bits) => Ipv6Addr::from_bits(u128::from(bits) << 64).into(),
        }
    }
}

#[cfg(test)]
mod tests;
