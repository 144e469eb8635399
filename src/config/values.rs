//! How single values are read and written, where serde needs telling. No message in here holds the value: a fault
//! shows what was found from the source itself, and masks it there.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use actix_web::http::Uri;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::protocol::pingback::Target;

/// What a secret prints as.
pub(super) const MASK: &str = "***";

/// Which store, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    Sqlite(PathBuf),
    /// Nothing survives a restart.
    Memory,
}

impl Default for StoreUrl {
    fn default() -> Self {
        Self::Sqlite(PathBuf::from("capgate.db"))
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

/// Not a store's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither sqlite:PATH nor memory:")]
pub struct NotAStoreUrl;

impl FromStr for StoreUrl {
    type Err = NotAStoreUrl;

    fn from_str(text: &str) -> Result<Self, NotAStoreUrl> {
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        let path = text.strip_prefix("sqlite:").ok_or(NotAStoreUrl)?;
        // SQLite takes ":memory:" and "file:…?mode=memory" for paths: captchas that were paid for would be lost quietly.
        // "sqlite://capgate.db" is other tools' way to write it; read as a path it would be a file in the root.
        let misread = path.is_empty() || [":", "file:", "//"].iter().any(|start| path.starts_with(start));
        if misread {
            return Err(NotAStoreUrl);
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

impl Serialize for StoreUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StoreUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// An http or https URL to which `/in.php` can be added; the slashes at its end are dropped.
pub(super) fn upstream_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let url: Uri = text.parse().map_err(|_| D::Error::custom("not a URL"))?;
    let plain_or_tls = matches!(url.scheme_str(), Some("http" | "https"));
    let named = url.host().is_some_and(|host| !host.is_empty());
    // The parser drops a fragment and keeps a user name; neither has a meaning here.
    if !plain_or_tls || !named || text.contains(['?', '#', '@']) {
        return Err(D::Error::custom("not an http or https URL of a host"));
    }
    // The parser leaves out a port that is none, and the call would go to another.
    let authority = url.authority().map_or("", |authority| authority.as_str());
    if authority.rsplit(']').next().is_some_and(|rest| rest.contains(':')) && url.port_u16().is_none() {
        return Err(D::Error::custom("the port is not one from 1 to 65535"));
    }
    // Written anew, for `HTTPS://` is https too.
    Ok(url.to_string().trim_end_matches('/').to_owned())
}

/// A URL of ours, as [`upstream_url`] has one; the upstream has to be able to push to it.
pub(super) fn own_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let url = upstream_url(deserializer)?;
    // What is taken from clients is taken from us.
    Target::parse(url.as_bytes()).map_err(D::Error::custom)?;
    Ok(Some(url))
}

/// What stands in a file of one line.
pub(super) fn token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_token = (1..=200).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_token { Ok(Some(text)) } else { Err(D::Error::custom("not 1 to 200 visible symbols")) }
}

/// Networks, or single addresses: a list, or one text with commas.
pub(super) mod networks {
    use std::net::IpAddr;

    use ipnet::IpNet;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Texts {
        One(String),
        Many(Vec<String>),
    }

    pub(in crate::config) fn serialize<S: Serializer>(networks: &[IpNet], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(networks.iter().map(ToString::to_string))
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
        let texts = match Texts::deserialize(from)? {
            Texts::One(text) => text.split(',').map(str::to_owned).collect(),
            Texts::Many(texts) => texts,
        };
        let network = |text: &str| text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let texts = texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
        texts.map(network).collect::<Result<_, _>>().map_err(|_| D::Error::custom("not a network"))
    }
}

/// An `EnvFilter` directive string.
pub(super) fn log_level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    // A misspelt level on its own would be taken for a module's name, and silence everything else.
    let levels = text
        .split(',')
        .map(str::trim)
        .filter(|directive| !directive.contains(['=', '[', ':']))
        .all(|level| !level.is_empty() && level.parse::<LevelFilter>().is_ok());
    if levels && EnvFilter::try_new(&text).is_ok() {
        Ok(text)
    } else {
        Err(D::Error::custom("not a level or filter"))
    }
}

/// What can be a label in metrics, logs and reports as it is.
pub(crate) fn is_client_name(text: &str) -> bool {
    let symbol = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(symbol)
}

pub(super) fn client_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if is_client_name(&text) { Ok(text) } else { Err(D::Error::custom("not a client's name")) }
}

/// Reads the upstream key; writes [`MASK`].
pub(super) mod upstream_key {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::protocol::ids::{ClientKey, UpstreamKey};

    #[expect(clippy::ref_option, reason = "serde passes the field by reference")]
    pub(in crate::config) fn serialize<S: Serializer>(
        _: &Option<UpstreamKey>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(super::MASK)
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<UpstreamKey>, D::Error> {
        let text = String::deserialize(from)?;
        // The upstream checks its keys as we check our clients': 32 symbols.
        ClientKey::parse(text.as_bytes()).map_err(|_| D::Error::custom("not 32 symbols"))?;
        Ok(Some(UpstreamKey::new(&text)))
    }
}

/// Reads one or two digests; writes [`MASK`] for each.
pub(super) mod client_keys {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::protocol::ids::ClientKey;

    pub(in crate::config) fn serialize<S: Serializer>(keys: &[ClientKey], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(keys.iter().map(|_| super::MASK))
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<ClientKey>, D::Error> {
        let digests = Vec::<String>::deserialize(from)?;
        if !(1..=2).contains(&digests.len()) {
            return Err(D::Error::custom("not one or two keys"));
        }
        digests
            .iter()
            .map(|digest| ClientKey::from_sha256_hex(digest).ok_or_else(|| D::Error::custom("not a SHA-256")))
            .collect()
    }
}

/// Reads and writes methods by their labels.
pub(super) mod methods {
    use std::collections::BTreeSet;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::protocol::methods::Method;

    pub(in crate::config) fn serialize<S: Serializer>(
        methods: &BTreeSet<Method>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(methods.iter().map(|method| method.label()))
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeSet<Method>, D::Error> {
        let labels = Vec::<String>::deserialize(from)?;
        let method = |label: &String| Method::from_label(label);
        let methods: Option<BTreeSet<Method>> = labels.iter().map(method).collect();
        // An empty list would read as "none", and mean all.
        methods.filter(|methods| !methods.is_empty()).ok_or_else(|| D::Error::custom("not methods' labels"))
    }
}
