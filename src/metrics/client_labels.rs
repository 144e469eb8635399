//! Clients as label values: each configured one has its own, up to a limit, so that no settings file makes the number of
//! series grow without bound. So has each pair of a client and a method that it has used.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::protocol::methods::Method;

/// Clients with a label of their own; every further one is counted as [`OTHER`].
pub const CLIENTS_MAX: usize = 1_000;
/// Pairs of a client and a method with series of their own; in further ones the client is [`OTHER`].
pub const PAIRS_MAX: usize = 2_000;
/// The label of clients beyond [`CLIENTS_MAX`].
pub const OTHER: &str = "other";

/// The clients that have a label of their own: the first that were met.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientLabels(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// With the methods that each has been met with.
    clients: HashMap<Box<str>, BTreeSet<Method>>,
    pairs: usize,
}

impl Known {
    /// Whether the client has a label of its own, now if not before.
    fn admit(&mut self, client: &str) -> bool {
        if !self.clients.contains_key(client) && self.clients.len() < CLIENTS_MAX {
            self.clients.insert(client.into(), BTreeSet::new());
        }
        self.clients.contains_key(client)
    }

    fn admit_with(&mut self, client: &str, method: Method) -> bool {
        if !self.admit(client) {
            return false;
        }
        let has_room = self.pairs < PAIRS_MAX;
        let Some(methods) = self.clients.get_mut(client) else { return false };
        if has_room && methods.insert(method) {
            self.pairs += 1;
        }
        methods.contains(&method)
    }
}

impl ClientLabels {
    pub(super) fn of<'a>(&self, client: &'a str) -> &'a str {
        if self.has(client) { client } else { OTHER }
    }

    /// Whether the client has a label of its own, now if not before.
    pub(super) fn has(&self, client: &str) -> bool {
        self.read().clients.contains_key(client) || self.write().admit(client)
    }

    /// The labels `client` and `method`.
    pub(super) fn with_method<'a>(&self, client: &'a str, method: Method) -> [&'a str; 2] {
        let has = |known: &Known| known.clients.get(client).is_some_and(|methods| methods.contains(&method));
        let is_known = has(&self.read()) || self.write().admit_with(client, method);
        [if is_known { client } else { OTHER }, method.label()]
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
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
        assert_eq!(labels.with_method("one-more", Method::Image), [OTHER, "image"]);
        assert_eq!(labels.of("client-0"), "client-0");
        assert_eq!(labels.of("client-999"), "client-999");
    }

    #[test]
    fn a_pair_over_the_cap_is_another_clients_and_those_before_it_keep_their_names() {
        let labels = ClientLabels::default();
        let methods: Vec<Method> = Method::ALL.iter().copied().take(4).collect();
        for number in 0..PAIRS_MAX / 4 {
            let name = format!("client-{number}");
            for method in &methods {
                assert_eq!(labels.with_method(&name, *method), [name.as_str(), method.label()]);
            }
        }
        let further = Method::ALL[4];
        assert_eq!(labels.with_method("client-0", further), [OTHER, further.label()]);
        assert_eq!(labels.with_method("client-0", methods[0]), ["client-0", methods[0].label()]);
        assert_eq!(labels.of("client-0"), "client-0", "where there is no method in it");
    }
}
