//! Whether whoever sent a call is still there.

use std::fmt;
use std::sync::Arc;

/// Somebody who may go away.
pub trait Peer: Send + Sync {
    fn has_gone(&self) -> bool;
}

impl<F: Fn() -> bool + Send + Sync> Peer for F {
    fn has_gone(&self) -> bool {
        self()
    }
}

/// Whether whoever sent a call has gone away since; the default is somebody who stays.
#[derive(Clone, Default)]
pub struct HungUp(Option<Arc<dyn Peer>>);

impl HungUp {
    pub fn new(peer: impl Peer + 'static) -> Self {
        Self::of(Arc::new(peer))
    }

    /// Every poll makes one, so it asks for no memory.
    pub fn of(peer: Arc<impl Peer + 'static>) -> Self {
        Self(Some(peer))
    }

    #[must_use]
    pub fn is_so(&self) -> bool {
        self.0.as_ref().is_some_and(|peer| peer.has_gone())
    }

    /// Whether it would be seen.
    #[must_use]
    pub fn can_be_seen(&self) -> bool {
        self.0.is_some()
    }
}

impl fmt::Debug for HungUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HungUp({})", self.is_so())
    }
}
