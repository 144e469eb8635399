//! Whether whoever sent a call is still there.

use std::fmt;
use std::sync::Arc;

/// Whether whoever sent a call has gone away since; the default is somebody who stays.
#[derive(Clone, Default)]
pub struct HungUp(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl HungUp {
    pub fn new(has_gone: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(has_gone)))
    }

    #[must_use]
    pub fn is_so(&self) -> bool {
        self.0.as_ref().is_some_and(|has_gone| has_gone())
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
