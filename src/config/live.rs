//! The settings in force, as reloads change them.

use std::sync::Arc;

use tokio::sync::watch;

use super::Config;

/// Shared by all who have to follow a reload; cheap to copy.
#[derive(Clone, Debug)]
pub struct Live(watch::Sender<Arc<Config>>);

impl Live {
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self(watch::Sender::new(Arc::new(config)))
    }

    /// The settings at this moment.
    #[must_use]
    pub fn load(&self) -> Arc<Config> {
        Arc::clone(&self.0.borrow())
    }

    /// From now on these are in force.
    pub fn replace(&self, config: Config) {
        self.0.send_replace(Arc::new(config));
    }

    /// For those who have to do something at a reload.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Arc<Config>> {
        self.0.subscribe()
    }
}
