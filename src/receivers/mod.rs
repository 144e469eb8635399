//! Clients' receivers of pingback, as a transport: a push goes out to an address that may be called, and the receiver
//! says that it took it, or not.
//!
//! Whoever may upload decides where we connect to, so this is the place where that is kept in bounds: [`networks`] says
//! which addresses may be called at all; a name is resolved once, and the connection goes to exactly the address that
//! was judged; no redirect is followed.

pub mod http;
pub mod networks;

use std::net::IpAddr;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::config::Pingback;
use crate::protocol::pingback::{Host, Target};
use networks::Forbidden;

pub use http::HttpReceivers;

/// Why a push was not taken. No text of it shows more of the target than its host's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    #[error("the receiver answered with status {0}")]
    Status(u16),
    #[error("the host's name was not found")]
    NoSuchHost,
    #[error("{0}")]
    Forbidden(#[from] Forbidden),
    #[error("no connection: {0}")]
    NotConnected(String),
    #[error("no answer: {0}")]
    Lost(String),
}

impl NotTaken {
    /// Whether the receiver answered.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        matches!(self, Self::Status(_))
    }

    /// The reason as a metric's label: one of a closed list.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::NoSuchHost => "no_such_host",
            Self::Forbidden(_) => "forbidden",
            Self::NotConnected(_) => "not_connected",
            Self::Lost(_) => "lost",
        }
    }
}

/// Carries pushes to receivers, as the settings at that moment say.
pub trait Receivers: Send + Sync + 'static {
    /// The addresses of `host` at present that may be called; at least one.
    fn resolve(&self, host: &Host, settings: &Pingback) -> BoxFuture<'static, Result<Vec<IpAddr>, NotTaken>>;

    /// Pushes `body`, a form, to `target`.
    fn push(
        &self,
        target: &Target,
        body: Bytes,
        settings: &Pingback,
    ) -> BoxFuture<'static, Result<(), NotTaken>>;
}
