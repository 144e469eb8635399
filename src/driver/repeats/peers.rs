//! Whether whoever sent an upload is still there.

use std::fmt;
use std::sync::Arc;

/// Whether whoever sent an upload has gone away since.
#[derive(Clone)]
pub struct HungUp(Arc<dyn Fn() -> bool + Send + Sync>);

impl HungUp {
    pub fn new(has_gone: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(has_gone))
    }

    #[must_use]
    pub fn is_so(&self) -> bool {
        (self.0)()
    }
}

impl Default for HungUp {
    /// Somebody who stays.
    fn default() -> Self {
        Self::new(|| false)
    }
}

impl fmt::Debug for HungUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HungUp({})", self.is_so())
    }
}
