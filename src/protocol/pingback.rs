//! Pingback, both ways: the hosts that a client registers, the URLs that it names, and what is pushed to them
//! (protocol.md 4).
//!
//! Since 2018 a host is registered, and any URL on it may be named; the 2016 description shows both without a scheme
//! (`127.0.0.1/test.php`), which is http. Hosts are compared as browsers do it: case, a dot at the end, letters outside
//! ASCII and odd ways to write an address (`0x7f.1`) make no difference.

use std::fmt;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use url::Url;

use super::form::{Field, Form};
use super::ids::{CaptchaId, UpstreamKey, hex};
use super::page::HOST_BYTES_MAX;
use super::submit::urlencoded;

/// Longest URL or host, bytes.
pub const ADDRESS_BYTES_MAX: usize = 2_000;
/// Lowest port beside those of http and https: what listens below speaks other protocols.
const PORT_MIN: u16 = 1_024;

/// Why a text is no address for pingback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongAddress {
    #[error("it is longer than {ADDRESS_BYTES_MAX} bytes")]
    TooLong,
    #[error("its host is longer than {HOST_BYTES_MAX} bytes")]
    HostTooLong,
    #[error("it is not the URL of a host")]
    NoUrl,
    #[error("only http and https are taken")]
    Scheme,
    #[error("it has a user name in it")]
    User,
    #[error("only the ports 80, 443 and those from {PORT_MIN} on are taken")]
    Port,
}

/// A host that a client registered, or that a URL names: `gw.example`, `10.0.0.7`, `[2001:db8::1]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(String);

impl Host {
    /// The host of a host name, an address or a URL.
    ///
    /// # Errors
    /// [`WrongAddress`].
    pub fn parse(text: &[u8]) -> Result<Self, WrongAddress> {
        let url = parse(text)?;
        // Brackets make an IPv6 address readable in a URL; here they also tell it from a name.
        let host = url.host_str().map(|host| host.strip_suffix('.').unwrap_or(host));
        // A second dot would make the same host another one when it is read again.
        let host = host.filter(|host| !host.is_empty() && !host.ends_with('.')).ok_or(WrongAddress::NoUrl)?;
        // Other scripts' symbols make a name longer than it was written.
        if host.len() > HOST_BYTES_MAX {
            return Err(WrongAddress::HostTooLong);
        }
        Ok(Self(host.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it is resolved: an IPv6 address without its brackets.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.trim_start_matches('[').trim_end_matches(']')
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A URL to which a captcha's outcome is pushed. Its path and query are the client's, and are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    host: Host,
    port: u16,
}

impl Target {
    /// # Errors
    /// [`WrongAddress`].
    pub fn parse(text: &[u8]) -> Result<Self, WrongAddress> {
        let (mut url, host) = (parse(text)?, Host::parse(text)?);
        url.set_fragment(None);
        // It is kept as it was understood, escapes and all, and has to be taken again after a restart.
        if url.as_str().len() > ADDRESS_BYTES_MAX {
            return Err(WrongAddress::TooLong);
        }
        let port = url.port_or_known_default().ok_or(WrongAddress::NoUrl)?;
        Ok(Self { url, host, port })
    }

    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The whole URL, for the call itself and for the store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Who receives it: scheme, host and port, and nothing of the client's.
    #[must_use]
    pub fn receiver(&self) -> String {
        format!("{}://{}:{}", self.url.scheme(), self.host, self.port)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.receiver())
    }
}

fn parse(text: &[u8]) -> Result<Url, WrongAddress> {
    let text = text.trim_ascii();
    if text.len() > ADDRESS_BYTES_MAX {
        return Err(WrongAddress::TooLong);
    }
    let text = std::str::from_utf8(text).map_err(|_| WrongAddress::NoUrl)?;
    // The parser would drop line ends and turn backslashes, and the two readers of one text would not see the same.
    if text.contains(|symbol: char| symbol.is_control() || symbol.is_whitespace() || "\\|".contains(symbol)) {
        return Err(WrongAddress::NoUrl);
    }
    let url = match text.find("://") {
        Some(_) => Url::parse(text),
        None => Url::parse(&format!("http://{text}")),
    };
    let url = url.map_err(|_| WrongAddress::NoUrl)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(WrongAddress::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(WrongAddress::User);
    }
    match url.port() {
        None | Some(80 | 443 | PORT_MIN..) => Ok(url),
        Some(_) => Err(WrongAddress::Port),
    }
}

/// What a push to us has to know: the last part of the path, derived from the account's key, so that it is the same after
/// a restart and on every replica. It prints itself as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct PushSecret(String);

impl PushSecret {
    #[must_use]
    pub fn of(key: &UpstreamKey) -> Self {
        let digest = Sha256::new().chain_update("capgate pingback path ").chain_update(key.expose());
        Self(hex(&digest.finalize()[..16]))
    }

    /// Whether the path of a call ends in it. Digests are compared, so that its duration tells nothing.
    #[must_use]
    pub fn ends(&self, path: &str) -> bool {
        let last = path.rsplit('/').next().unwrap_or_default();
        Sha256::digest(last) == Sha256::digest(&self.0)
    }

    /// The URL of ours that the upstream is told: `base`, the setting, and the secret.
    #[must_use]
    pub fn url(&self, base: &str) -> PushUrl {
        PushUrl(format!("{}/{}", base.trim_end_matches('/'), self.0))
    }
}

impl fmt::Debug for PushSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where the upstream pushes to. It prints itself as `***`, for it ends in a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct PushUrl(String);

impl PushUrl {
    /// The URL itself, for the one place that writes it onto the wire.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PushUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What is pushed: a captcha's id, and its answer or the code that it ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    pub id: CaptchaId,
    pub code: Bytes,
}

impl Push {
    /// Reads a push in today's form (`id` and `code`) or in that of 2016 (a body `ID,CODE`).
    #[must_use]
    pub fn parse(query: &str, body: &Bytes) -> Option<Self> {
        let old =
            body.iter().position(|byte| !byte.is_ascii_digit()).filter(|at| *at > 0 && body[*at] == b',');
        let (id, code) = if let Some(comma) = old {
            (CaptchaId::parse(&body[..comma]), body.slice(comma + 1..))
        } else {
            let form = Form::decode(query, body).ok()?;
            (CaptchaId::parse(form.word("id")?), form.value("code")?.clone())
        };
        let code = code.slice_ref(code.trim_ascii_end());
        (!code.is_empty()).then_some(Self { id: id.ok()?, code })
    }

    /// The push as the body of a POST.
    #[must_use]
    pub fn to_body(&self) -> Bytes {
        let fields = [Field::text("id", self.id.to_string()), Field::text("code", self.code.clone())];
        urlencoded(fields.iter(), self.code.len() + 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Result<String, WrongAddress> {
        Host::parse(text.as_bytes()).map(|host| host.as_str().to_owned())
    }

    #[test]
    fn a_host_has_253_bytes_at_most_as_it_is_resolved() {
        let name = |bytes: usize| format!("{}.example", "a".repeat(bytes - ".example".len()));
        assert_eq!(host(&name(HOST_BYTES_MAX)), Ok(name(HOST_BYTES_MAX)));
        assert_eq!(host(&name(HOST_BYTES_MAX + 1)), Err(WrongAddress::HostTooLong));
        assert_eq!(host(&format!("\u{fc}{}", name(HOST_BYTES_MAX - 2))), Err(WrongAddress::HostTooLong));
    }

    #[test]
    fn a_host_is_one_however_it_is_written() {
        for same in [
            "gw.example",
            "GW.Example.",
            "http://gw.example",
            "https://gw.example:8443/a/b?x=1#y",
            " gw.example/answer.php ",
            "gw.example:8080",
        ] {
            assert_eq!(host(same).as_deref(), Ok("gw.example"), "{same}");
        }
        assert_eq!(host("http://bücher.example/").as_deref(), Ok("xn--bcher-kva.example"));
        for same in ["127.0.0.1", "http://0x7f.1/", "2130706433", "127.0.0.1.", "017700000001"] {
            assert_eq!(host(same).as_deref(), Ok("127.0.0.1"), "{same}");
        }
        assert_eq!(host("http://[::FFFF:7f00:1]:80/").as_deref(), Ok("[::ffff:7f00:1]"));
        assert_eq!(Host::parse(b"[::1]").unwrap().name(), "::1");
    }

    #[test]
    fn what_is_no_address_of_a_receiver_is_refused_and_says_why() {
        for (text, why) in [
            ("", WrongAddress::NoUrl),
            ("http://", WrongAddress::NoUrl),
            ("http://.", WrongAddress::NoUrl),
            ("http://a b/", WrongAddress::NoUrl),
            ("http://a.example\\@b.example/", WrongAddress::NoUrl),
            ("http://a.example/\r\nHost: b", WrongAddress::NoUrl),
            ("http://256.1.1.1/", WrongAddress::NoUrl),
            ("http://[::1/", WrongAddress::NoUrl),
            ("a.example|b.example", WrongAddress::NoUrl),
            ("ftp://a.example/", WrongAddress::Scheme),
            ("file:///etc/passwd", WrongAddress::Scheme),
            ("gopher://a.example:6379/_x", WrongAddress::Scheme),
            ("http://user@a.example/", WrongAddress::User),
            ("http://:secret@a.example/", WrongAddress::User),
            ("user@a.example", WrongAddress::User),
            ("http://a.example:0/", WrongAddress::Port),
            ("http://a.example:25/", WrongAddress::Port),
            ("http://a.example:1023/", WrongAddress::Port),
            ("http://a.example:65536/", WrongAddress::NoUrl),
        ] {
            let wrong = Target::parse(text.as_bytes()).map(|target| target.as_str().to_owned());
            assert_eq!(wrong, Err(why), "{text}");
        }
        for port in [80, 443, 1_024, 65_535] {
            let target = Target::parse(format!("https://a.example:{port}/").as_bytes()).unwrap();
            assert_eq!(target.port(), port);
        }
    }

    #[test]
    fn an_address_may_be_so_long_and_not_a_byte_longer() {
        let of_length = |length: usize| format!("http://a.example/{}", "x".repeat(length - 17));
        assert!(Target::parse(of_length(ADDRESS_BYTES_MAX).as_bytes()).is_ok());
        let longer = Target::parse(of_length(ADDRESS_BYTES_MAX + 1).as_bytes());
        assert_eq!(longer, Err(WrongAddress::TooLong));
    }

    #[test]
    fn a_target_shows_who_receives_and_nothing_of_what_the_client_put_into_it() {
        let target = Target::parse(b"https://GW.example/secret/path?token=1#x").unwrap();
        assert_eq!(target.as_str(), "https://gw.example/secret/path?token=1");
        assert_eq!(target.receiver(), "https://gw.example:443");
        assert_eq!(format!("{target:?}"), "https://gw.example:443");
        assert!(target.is_tls());
        let target = Target::parse(b"127.0.0.1:8080/test.php").unwrap();
        assert_eq!((target.as_str(), target.is_tls()), ("http://127.0.0.1:8080/test.php", false));
    }

    #[test]
    fn the_secret_in_our_path_is_the_same_for_one_key_and_is_never_printed() {
        let secret = PushSecret::of(&UpstreamKey::new("fake-upstream-key-00000000000001"));
        let url = secret.url("https://gw.example/prefix/");
        let path = url.expose().strip_prefix("https://gw.example").unwrap();
        assert!(path.starts_with("/prefix/") && path.len() == 8 + 32, "{path}");
        assert!(secret.ends(path) && secret.ends(&path[7..]));
        for other in ["", "/", "/prefix", &path[..path.len() - 1], &format!("{path}/"), &path.to_uppercase()]
        {
            assert!(!secret.ends(other), "{other}");
        }
        assert_ne!(secret, PushSecret::of(&UpstreamKey::new("fake-upstream-key-00000000000002")));
        assert_eq!(format!("{secret:?} {url:?}"), "*** ***");
    }

    fn push(query: &str, body: &str) -> Option<(u64, String)> {
        let push = Push::parse(query, &Bytes::copy_from_slice(body.as_bytes()))?;
        Some((push.id.0, String::from_utf8(push.code.to_vec()).unwrap()))
    }

    #[test]
    fn a_push_is_read_in_todays_form_and_in_that_of_2016() {
        let told = |code: &str| Some((51_555_263_943, code.to_owned()));
        assert_eq!(push("", "id=51555263943&code=w9h5k"), told("w9h5k"));
        assert_eq!(push("", "code=40%7C200&id=51555263943&more=1"), told("40|200"));
        assert_eq!(push("id=51555263943&code=a+b", ""), told("a b"));
        assert_eq!(push("", "51555263943,a=1&b,c|d"), told("a=1&b,c|d"));
        assert_eq!(push("", "51555263943,w9h5k\r\n"), told("w9h5k"));
        assert_eq!(push("", r#"{"id":51555263943,"code":"x"}"#), told("x"));
        assert_eq!(
            push("", "id=51555263943&code=ERROR_CAPTCHA_UNSOLVABLE"),
            told("ERROR_CAPTCHA_UNSOLVABLE")
        );
        for nothing in
            ["", "id=1", "code=x", "id=1&code=", "id=x&code=y", "1,", ",x", "id=99999999999999999999&code=x"]
        {
            assert_eq!(push("", nothing), None, "{nothing}");
        }
    }

    #[test]
    fn what_is_pushed_to_a_client_reads_back_as_it_was() {
        let push = Push { id: CaptchaId(7), code: Bytes::from_static(b"a&b=c|d,\xF0\x9F\x8C\x9F +") };
        assert_eq!(Push::parse("", &push.to_body()), Some(push));
    }
}
