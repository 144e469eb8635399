//! From where a call comes: the other end of its connection or, where that is a proxy of our own, whom the proxy names.

use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Where `call` comes from. `X-Forwarded-For` is believed from a trusted proxy only: anybody can write it.
pub(super) fn caller(call: &HttpRequest, proxies: &[IpNet]) -> Option<IpAddr> {
    Some(behind(call.peer_addr()?.ip().to_canonical(), call.headers(), proxies))
}

/// Each proxy adds at the end whom it was called by; so the last one that is no proxy of ours is the caller.
fn behind(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let is_ours = |address: &IpAddr| proxies.iter().any(|network| network.contains(address));
    if !is_ours(&peer) {
        return peer;
    }
    let texts: Vec<&str> = headers.get_all(FORWARDED_FOR).filter_map(|value| value.to_str().ok()).collect();
    let mut nearest = peer;
    for named in texts.iter().rev().flat_map(|text| text.rsplit(',')) {
        // What cannot be read may stand for anybody, and so may what stands before it.
        let Some(address) = address(named.trim()) else { return nearest };
        nearest = address;
        if !is_ours(&nearest) {
            return nearest;
        }
    }
    nearest
}

/// Some proxies add the port.
fn address(text: &str) -> Option<IpAddr> {
    let plain = || text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip()).ok();
    plain().or_else(with_port).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn caller_of(peer: &str, forwarded: &[&str], proxies: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(value).unwrap());
        }
        let proxies: Vec<IpNet> = proxies.iter().map(|network| network.parse().unwrap()).collect();
        behind(peer.parse().unwrap(), &headers, &proxies).to_string()
    }

    #[test]
    fn a_forwarded_address_is_believed_from_a_proxy_of_ours_only() {
        let (peer, named) = ("10.0.0.1", "198.51.100.7");
        assert_eq!(caller_of(peer, &[named], &[]), peer);
        assert_eq!(caller_of("203.0.113.9", &[named], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(caller_of(peer, &[named], &["10.0.0.0/8"]), named);
        assert_eq!(caller_of(peer, &[], &["10.0.0.0/8"]), peer);
    }

    #[test]
    fn the_last_address_that_no_proxy_of_ours_has_is_the_caller() {
        let of = |forwarded: &[&str]| caller_of("10.0.0.1", forwarded, &["10.0.0.0/8", "2001:db8::/32"]);
        assert_eq!(
            of(&["1.2.3.4, 198.51.100.7, 10.0.0.2"]),
            "198.51.100.7",
            "what a client wrote before is its own"
        );
        assert_eq!(of(&["1.2.3.4", "198.51.100.7:4711", "[2001:db8::7]:80"]), "198.51.100.7");
        assert_eq!(of(&["10.0.0.3,10.0.0.2"]), "10.0.0.3");
        assert_eq!(of(&["198.51.100.7, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(of(&["::ffff:198.51.100.7"]), "198.51.100.7");
    }
}
