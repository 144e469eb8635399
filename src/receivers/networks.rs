//! Which addresses may be called for a client.
//!
//! What is not the public internet is forbidden unless the settings allow it: a client must not reach, through the
//! gateway, what stands beside it. Of IPv4 the special ranges are listed (the IANA registry); of IPv6 everything outside
//! global unicast is forbidden, and the special ranges inside it are listed.

use std::fmt;
use std::net::IpAddr;
use std::sync::LazyLock;

use ipnet::IpNet;

/// An address that may not be called, and what it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Forbidden {
    pub address: IpAddr,
    pub kind: &'static str,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, which pingback.allow does not have", self.address, self.kind)
    }
}

#[rustfmt::skip]
const SPECIAL: &[(&str, &str)] = &[
    ("0.0.0.0/8",        "unspecified"),
    ("10.0.0.0/8",       "a private address"),
    ("100.64.0.0/10",    "a carrier's own address"),
    ("127.0.0.0/8",      "a loopback address"),
    ("169.254.0.0/16",   "a link-local address, where clouds keep their metadata"),
    ("168.63.129.16/32", "a cloud's metadata address"),
    ("172.16.0.0/12",    "a private address"),
    ("192.0.0.0/24",     "reserved for protocols"),
    ("192.0.2.0/24",     "for documentation"),
    ("192.88.99.0/24",   "a relay's address"),
    ("192.168.0.0/16",   "a private address"),
    ("198.18.0.0/15",    "for benchmarks"),
    ("198.51.100.0/24",  "for documentation"),
    ("203.0.113.0/24",   "for documentation"),
    ("224.0.0.0/4",      "a multicast address"),
    ("240.0.0.0/4",      "reserved or a broadcast address"),
    ("::/128",           "unspecified"),
    ("::1/128",          "a loopback address"),
    ("::ffff:0:0/96",    "an IPv4 address in disguise"),
    ("64:ff9b::/96",     "an IPv4 address behind a translator"),
    ("64:ff9b:1::/48",   "an IPv4 address behind a translator"),
    ("fc00::/7",         "a private address"),
    ("fe80::/10",        "a link-local address"),
    ("ff00::/8",         "a multicast address"),
    ("2001::/23",        "reserved for protocols"),
    ("2001:db8::/32",    "for documentation"),
    ("2002::/16",        "an IPv4 address behind a relay"),
    ("3fff::/20",        "for documentation"),
];
/// Everything of IPv6 that is handed out for the public internet.
const GLOBAL_UNICAST: &str = "2000::/3";

/// The table, read once.
struct Table {
    special: Vec<(IpNet, &'static str)>,
    global_unicast: IpNet,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let network = |text: &str| text.parse().expect("the table holds networks");
    Table {
        special: SPECIAL.iter().map(|(text, kind)| (network(text), *kind)).collect(),
        global_unicast: network(GLOBAL_UNICAST),
    }
});

/// Whether `address` is of the public internet, or in a network that is `allowed`.
///
/// # Errors
/// What the address belongs to, when it may not be called.
pub fn check(address: IpAddr, allowed: &[IpNet]) -> Result<(), Forbidden> {
    if allowed.iter().any(|network| network.contains(&address)) {
        return Ok(());
    }
    let special = TABLE.special.iter().find(|(network, _)| network.contains(&address));
    let reserved = (address.is_ipv6() && !TABLE.global_unicast.contains(&address)).then_some("reserved");
    match special.map(|(_, kind)| *kind).or(reserved) {
        Some(kind) => Err(Forbidden { address, kind }),
        None => Ok(()),
    }
}

/// Those of `addresses` that may be called.
///
/// # Errors
/// When there is none: the first that may not, or none at all.
pub fn free(
    addresses: impl IntoIterator<Item = IpAddr>,
    allowed: &[IpNet],
) -> Result<Vec<IpAddr>, Option<Forbidden>> {
    let (mut free, mut first) = (Vec::new(), None);
    for address in addresses {
        match check(address, allowed) {
            Ok(()) => free.push(address),
            Err(forbidden) => first = first.or(Some(forbidden)),
        }
    }
    if free.is_empty() { Err(first) } else { Ok(free) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|network| network.parse().unwrap()).collect()
    }

    fn kind(address: &str, allowed: &[IpNet]) -> Option<&'static str> {
        check(address.parse().unwrap(), allowed).err().map(|forbidden| forbidden.kind)
    }

    #[test]
    fn the_first_and_the_last_address_of_every_special_range_is_forbidden() {
        for (text, kind) in SPECIAL {
            let network: IpNet = text.parse().unwrap();
            for address in [network.network(), network.broadcast()] {
                assert!(check(address, &[]).is_err(), "{address} of {text}, {kind}");
            }
        }
    }

    #[test]
    fn what_stands_beside_a_gateway_cannot_be_called_and_the_internet_can() {
        for forbidden in [
            "0.0.0.0",
            "127.0.0.1",
            "127.255.255.254",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.1",
            "100.100.100.200",
            "169.254.169.254",
            "168.63.129.16",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
            "198.51.100.7",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "3fff::1",
            "4000::1",
            "100::1",
        ] {
            assert!(kind(forbidden, &[]).is_some(), "{forbidden}");
        }
        for free in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "169.253.255.255",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450:4001::1",
        ] {
            assert_eq!(kind(free, &[]), None, "{free}");
        }
    }

    #[test]
    fn what_is_allowed_is_allowed_as_it_is_written_and_nothing_beside_it() {
        let allowed = networks(&["10.1.0.0/16", "127.0.0.1/32", "fd00::/8"]);
        for free in ["10.1.0.0", "10.1.255.255", "127.0.0.1", "fd12::1", "8.8.8.8"] {
            assert_eq!(kind(free, &allowed), None, "{free}");
        }
        for forbidden in ["10.0.255.255", "10.2.0.0", "127.0.0.2", "::ffff:127.0.0.1", "::1", "fc00::1"] {
            assert!(kind(forbidden, &allowed).is_some(), "{forbidden}");
        }
    }

    #[test]
    fn of_several_addresses_only_those_that_may_be_called_are_left() {
        let allowed = networks(&["127.0.0.0/8"]);
        let addresses =
            |texts: &[&str]| -> Vec<IpAddr> { texts.iter().map(|text| text.parse().unwrap()).collect() };
        let filter = |texts: &[&str]| free(addresses(texts), &allowed);
        assert_eq!(filter(&["::1", "127.0.0.1", "10.0.0.1"]), Ok(addresses(&["127.0.0.1"])));
        let first = Forbidden { address: addresses(&["::1"])[0], kind: "a loopback address" };
        assert_eq!(filter(&["::1", "10.0.0.1"]), Err(Some(first)));
        assert_eq!(first.to_string(), "::1 is a loopback address, which pingback.allow does not have");
        assert_eq!(filter(&[]), Err(None));
    }
}
