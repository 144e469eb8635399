//! How many outcomes of each client are not over: each holds a place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::metrics::Metrics;

/// The places taken, by client.
#[derive(Clone, Debug)]
pub(super) struct Places {
    taken: Arc<Mutex<HashMap<Arc<str>, usize>>>,
    metrics: Arc<Metrics>,
}

impl Places {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { taken: Arc::default(), metrics }
    }

    /// One more, if fewer than `most` are taken.
    pub fn take(&self, client: &Arc<str>, most: usize) -> Option<Place> {
        if !self.change(client, |taken| *taken < most, 1) {
            return None;
        }
        Some(Place { client: Arc::clone(client), places: self.clone() })
    }

    fn change(&self, client: &Arc<str>, may: impl FnOnce(&mut usize) -> bool, by: isize) -> bool {
        let mut places = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = places.entry(Arc::clone(client)).or_default();
        let may = may(taken);
        if may {
            *taken = taken.saturating_add_signed(by);
            self.metrics.pingbacks_open(client, *taken);
        }
        may
    }
}

/// One place; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    client: Arc<str>,
    places: Places,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.change(&self.client, |_| true, -1);
    }
}
