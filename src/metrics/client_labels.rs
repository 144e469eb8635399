//! Clients as label values: each configured one has its own, up to a limit, so that no settings file makes the number of
//! series grow without bound.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

/// Clients with a label of their own; every further one is counted as [`OTHER`].
pub const CLIENTS_MAX: usize = 1_000;
/// The label of clients beyond [`CLIENTS_MAX`].
pub const OTHER: &str = "other";

/// The clients that have a label of their own: the first that were met.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientLabels(Arc<RwLock<HashSet<Box<str>>>>);

impl ClientLabels {
    pub(super) fn of<'a>(&self, client: &'a str) -> &'a str {
        if self.0.read().unwrap_or_else(PoisonError::into_inner).contains(client) {
            return client;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < CLIENTS_MAX || known.contains(client) {
            known.insert(client.into());
            client
        } else {
            OTHER
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_over_the_cap_is_other_and_those_before_it_keep_their_names() {
        let labels = ClientLabels::default();
        for number in 0..CLIENTS_MAX {
            let name = format!("client-{number}");
            assert_eq!(labels.of(&name), name);
        }
        assert_eq!(labels.of("one-more"), OTHER);
        assert_eq!(labels.of("client-0"), "client-0");
        assert_eq!(labels.of("client-999"), "client-999");
    }
}
