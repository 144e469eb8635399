//! How many bytes of bodies are being read, of all clients and of each address.

use std::sync::Arc;

use super::Connection;

/// Most bytes of bodies that are being read at once, of all clients together; 32 of the largest.
pub const BODIES_BYTES_MAX: usize = 256 << 20;
/// Most of them from one address, so that another finds room.
pub const ADDRESS_BODIES_BYTES_MAX: usize = BODIES_BYTES_MAX / 2;

/// Too many bytes are being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// What a body that is read takes up.
#[derive(Debug)]
pub struct BodyRoom {
    connection: Arc<Connection>,
    taken: usize,
}

impl BodyRoom {
    /// Takes room for `bytes` more.
    ///
    /// # Errors
    /// When all clients together, or those at its address, would be read too much of; nothing is taken then.
    pub fn take(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let address = self.connection.peer.address();
        self.connection.connections.with(|shares| {
            let share = shares.by_address.entry(address).or_default();
            if shares.all.body_bytes + bytes > BODIES_BYTES_MAX
                || share.body_bytes + bytes > ADDRESS_BODIES_BYTES_MAX
            {
                return Err(NoRoom);
            }
            share.body_bytes += bytes;
            shares.all.body_bytes += bytes;
            self.taken += bytes;
            Ok(())
        })
    }
}

impl Drop for BodyRoom {
    fn drop(&mut self) {
        // Most calls are polls, which have no body: they do not wait for each other here.
        if self.taken == 0 {
            return;
        }
        let address = self.connection.peer.address();
        self.connection.connections.with(|shares| {
            shares.all.body_bytes -= self.taken;
            if let Some(share) = shares.by_address.get_mut(&address) {
                share.body_bytes -= self.taken;
            }
        });
    }
}

impl Connection {
    /// Room for a body that is read.
    pub fn body(self: &Arc<Self>) -> BodyRoom {
        BodyRoom { connection: Arc::clone(self), taken: 0 }
    }
}
