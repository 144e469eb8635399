//! Which hosts an upload names, so that a client can be held to the pages that it may work on.
//!
//! The service reads an upload in its own way, and its workers open pages in a browser. What any of them could read
//! differently from us is therefore not read at all: a host is known, or the parameter is [`Unreadable`].

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::form::Field;
use super::parameters::php_name;

/// What a parameter's host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A page that shows the captcha.
    Page,
    /// Where a captcha's own parts come from: a server of the captcha's maker, or of the page.
    Server,
}

/// Parameters that name a host (protocol.md 2.3, and the official libraries for the newer methods). Of the others, each
/// whose value begins like an http address counts as a [`Role::Server`].
#[rustfmt::skip]
const NAMING: &[(&str, Role)] = &[
    ("pageurl",          Role::Page),
    ("challenge_url",    Role::Page),
    ("redirect_uri",     Role::Page),
    ("captcha_url",      Role::Server),
    ("surl",             Role::Server),
    ("api_server",       Role::Server),
    ("api_get_lib",      Role::Server),
    ("domain",           Role::Server),
    ("challenge_script", Role::Server),
    ("captcha_script",   Role::Server),
];
/// Never an address of a page, though they may begin like one.
const NOT_NAMING: &[&str] = &["proxy", "textcaptcha", "textinstructions"];
/// The makers' domains from which captchas' parts come.
const MAKERS: &[&str] = &[
    "google.com",
    "recaptcha.net",
    "arkoselabs.com",
    "funcaptcha.com",
    "geetest.com",
    "capy.me",
    "leminnow.com",
    "awswaf.com",
    "captcha-delivery.com",
    "aisecurius.com",
    "gtimg.com",
];
/// Longest address that is read, bytes.
pub const ADDRESS_BYTES_MAX: usize = 8 * 1024;
/// What decides the kind of a captcha, beside the parameters in [`NAMING`].
const DECIDING: &[&str] = &[
    "method",
    "version",
    "recaptcha",
    "canvas",
    "coordinatescaptcha",
    "textcaptcha",
    "textinstructions",
    "file",
    "body",
    "cookies",
    "json_cookies",
];

/// A host as all its spellings are written: lower case, punycode, without the dot at its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host(String);

/// Programs would read different hosts in it, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(&'static str);

/// A parameter that names a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    pub parameter: &'a str,
    pub role: Role,
    pub host: Result<Host, Unreadable>,
}

/// Every host that the fields of an upload name.
pub fn named(fields: &[Field]) -> impl Iterator<Item = Named<'_>> {
    fields.iter().flat_map(|field| {
        let (role, value) = match role_of(field) {
            Some(role) => (role, &field.value[..]),
            None => return Vec::new(),
        };
        let host = Host::read(value);
        let parameter = field.name.as_str();
        let mut named = vec![Named { parameter, role, host }];
        if parameter == "captcha_url" {
            // DataDome's frame says in its query for which page it is.
            named.extend(referers(value).map(|host| Named { parameter, role: Role::Page, host }));
        }
        named
    })
}

/// The first field whose name the service takes for that of a parameter which decides what an upload is, and we do not:
/// ` pageurl` and `method[]` are `pageurl` and `method` to PHP.
#[must_use]
pub fn disguised(fields: &[Field]) -> Option<&str> {
    let decides = |name: &str| DECIDING.contains(&name) || NAMING.iter().any(|(known, _)| *known == name);
    let mut names = fields.iter().map(|field| field.name.as_str());
    names.find(|name| {
        let folded = php_name(name).to_ascii_lowercase();
        folded != *name && decides(&folded)
    })
}

fn role_of(field: &Field) -> Option<Role> {
    let known = NAMING.iter().find(|(name, _)| *name == field.name).map(|(_, role)| *role);
    let value = field.value.trim_ascii();
    if value.is_empty() || NOT_NAMING.contains(&field.name.as_str()) {
        return None;
    }
    let begins =
        |start: &[u8]| value.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    known.or_else(|| (begins(b"http://") || begins(b"https://")).then_some(Role::Server))
}

fn referers(value: &[u8]) -> impl Iterator<Item = Result<Host, Unreadable>> {
    let url = std::str::from_utf8(value).ok().and_then(|text| Url::parse(text.trim()).ok());
    let pairs: Vec<_> = url.iter().flat_map(|url| url.query_pairs().into_owned()).collect();
    pairs
        .into_iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("referer"))
        .map(|(_, value)| Host::read(value.as_bytes()))
}

impl Host {
    /// The host of an address, with or without its `https://`.
    ///
    /// # Errors
    /// [`Unreadable`] for whatever is not an address that every program reads in the same way.
    pub fn read(address: &[u8]) -> Result<Self, Unreadable> {
        if address.len() > ADDRESS_BYTES_MAX {
            return Err(Unreadable("it is too long"));
        }
        let text = std::str::from_utf8(address).map_err(|_| Unreadable("it is not text"))?;
        let text = text.trim_matches(|symbol: char| symbol.is_ascii_whitespace());
        if text.chars().any(char::is_control) {
            return Err(Unreadable("it has control characters"));
        }
        let is_http = |scheme: &str| ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let (rest, has_scheme) = match text.split_once("://") {
            Some((scheme, rest)) if is_http(scheme) => (rest, true),
            _ => (text.strip_prefix("//").unwrap_or(text), false),
        };
        let authority = rest.split('/').next().unwrap_or(rest);
        // Programs differ in what they make of these: a browser takes `\\` for `/`, others for a part of a user's name.
        if authority.contains('@') {
            return Err(Unreadable("it names a user"));
        }
        if authority.contains(['\\', '%']) || authority.contains(char::is_whitespace) {
            return Err(Unreadable("its host has symbols that no host has"));
        }
        // A browser looks for the host behind any number of slashes, others do not; and `x:` is another scheme.
        if authority.is_empty() || (!has_scheme && authority.ends_with(':')) {
            return Err(Unreadable("it names no host"));
        }
        let url = Url::parse(&format!("http://{rest}")).map_err(|_| Unreadable("it is no address"))?;
        let host = url.host_str().unwrap_or_default();
        let host = host.strip_suffix('.').unwrap_or(host);
        let is_of_a_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_of_a_host) {
            return Err(Unreadable("its host has symbols that no host has"));
        }
        Ok(Self(host.to_owned()))
    }

    /// Whether it belongs to a maker of captchas.
    #[must_use]
    pub fn is_of_a_maker(&self) -> bool {
        MAKERS.iter().any(|maker| self.0 == *maker || self.is_below(maker))
    }

    /// Whether it is an IP address, and no name.
    #[must_use]
    pub fn is_address(&self) -> bool {
        !matches!(url::Host::parse(&self.0), Ok(url::Host::Domain(_)))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_below(&self, domain: &str) -> bool {
        self.0.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Hosts that a client may name: `shop.example.com`, or `*.example.com` for every host below that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PagePattern {
    host: Host,
    /// The host itself is not one of them.
    is_below: bool,
}

/// Not a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither a host nor *. and a host")]
pub struct NotAPattern;

impl PagePattern {
    #[must_use]
    pub fn allows(&self, host: &Host) -> bool {
        if self.is_below { host.is_below(&self.host.0) } else { *host == self.host }
    }
}

impl FromStr for PagePattern {
    type Err = NotAPattern;

    fn from_str(text: &str) -> Result<Self, NotAPattern> {
        let (is_below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        // A scheme, a port or a path in a pattern would promise what is not looked at.
        let is_address = name.starts_with('[') && name.ends_with(']');
        let is_plain =
            !name.is_empty() && !name.contains(['/', '?', '#', '*']) && (is_address || !name.contains(':'));
        let host = Host::read(name.as_bytes()).map_err(|_| NotAPattern)?;
        if !is_plain || (is_below && host.is_address()) || name != name.trim() {
            return Err(NotAPattern);
        }
        Ok(Self { host, is_below })
    }
}

impl fmt::Display for PagePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.is_below { "*." } else { "" };
        write!(f, "{prefix}{}", self.host)
    }
}

impl Serialize for PagePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PagePattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
