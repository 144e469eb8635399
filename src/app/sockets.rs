//! Listening sockets that somebody else holds open, as systemd does: they are there before the gateway is, and after. A
//! client that connects while no gateway runs waits in them for the next.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::TcpListener;

use anyhow::{Context, bail, ensure};
use listenfd::ListenFd;

/// What a socket can be for: the names of the settings in `[listen]`, in the order in which nameless ones are taken.
const NAMES: [&str; 3] = ["clients", "admin", "tls"];

/// The sockets that the process was started with.
#[derive(Debug, Default)]
pub struct Inherited(BTreeMap<&'static str, TcpListener>);

impl Inherited {
    /// Takes over what `LISTEN_FDS` announces; `names` is the value of `LISTEN_FDNAMES`. It takes the variables out of
    /// the environment, so it has to come before any thread.
    ///
    /// # Errors
    /// A socket that is for nothing that the gateway listens for, or is no TCP socket.
    pub fn take(names: Option<&str>) -> anyhow::Result<Self> {
        let mut passed = ListenFd::from_env();
        let mut sockets = BTreeMap::new();
        for (index, name) in meant(passed.len(), names)?.into_iter().enumerate() {
            let socket =
                passed.take_tcp_listener(index).with_context(|| format!("the inherited socket {name}"))?;
            sockets.insert(name, socket.context("an inherited socket was taken twice")?);
        }
        Ok(Self(sockets))
    }

    /// The socket for one of the listeners, if it was inherited.
    pub(super) fn give(&mut self, name: &str) -> Option<TcpListener> {
        self.0.remove(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// What each of `count` sockets is for.
fn meant(count: usize, names: Option<&str>) -> anyhow::Result<Vec<&'static str>> {
    let expected =
        "expected clients, admin and tls, each once at most (FileDescriptorName= in a systemd socket unit)";
    let Some(names) = names else {
        ensure!(count <= NAMES.len(), "{count} inherited sockets without names: {expected}");
        return Ok(NAMES[..count].to_vec());
    };
    let given: Vec<&str> = if count == 0 { Vec::new() } else { names.split(':').collect() };
    ensure!(given.len() == count, "{count} inherited sockets and {} names: {expected}", given.len());
    let mut meant = Vec::new();
    for name in given {
        match NAMES.into_iter().find(|known| *known == name) {
            Some(known) if !meant.contains(&known) => meant.push(known),
            found => {
                let mut fault = format!("an inherited socket is named {name:?}");
                if found.is_some() {
                    let _ = write!(fault, ", and so is another");
                }
                bail!("{fault}: {expected}");
            }
        }
    }
    Ok(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_known_by_their_names_and_nameless_ones_by_their_order() {
        assert_eq!(meant(2, Some("tls:clients")).unwrap(), ["tls", "clients"]);
        assert_eq!(meant(2, None).unwrap(), ["clients", "admin"]);
        assert_eq!(meant(0, Some("clients")).unwrap(), [""; 0], "names for another process");
        for (count, names) in
            [(1, Some("capgate.socket")), (2, Some("clients:clients")), (2, Some("clients")), (4, None)]
        {
            let fault = meant(count, names).unwrap_err().to_string();
            assert!(fault.contains("expected clients, admin and tls"), "{fault}");
        }
    }
}
