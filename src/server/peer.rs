//! Whether the client at the other end of a connection is still there.
//!
//! The web server notices a reset, but not that a client closed its side, which is what most libraries do when they give
//! a call up.

use std::any::Any;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::HttpRequest;
use actix_web::rt::net::TcpStream as Connection;

use super::connections::Connection as Known;
use crate::driver::repeats::{HungUp, Peer as Leaves};

/// First byte of a TLS alert: the other side says goodbye before it closes.
const TLS_ALERT: u8 = 21;

/// How to tell whether the client of `call` has gone.
pub(super) fn hung_up(call: &HttpRequest) -> HungUp {
    let known = call.conn_data::<Arc<Known>>().map(Arc::clone);
    known.map_or_else(HungUp::default, HungUp::of)
}

impl Leaves for Known {
    fn has_gone(&self) -> bool {
        self.peer.has_gone()
    }
}

/// A second hold on a client's connection, to look at it and never to read from it.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) socket: TcpStream,
    pub(super) is_tls: bool,
    address: SocketAddr,
}

impl Peer {
    /// The client of a new connection; none when the system has no more file descriptors to give.
    pub fn of(connection: &dyn Any) -> Option<Self> {
        let (socket, is_tls) = match connection.downcast_ref::<Connection>() {
            Some(plain) => (plain, false),
            None => (connection.downcast_ref::<TlsStream<Connection>>()?.get_ref().0, true),
        };
        let socket = TcpStream::from(socket.as_fd().try_clone_to_owned().ok()?);
        let address = socket.peer_addr().ok()?;
        Some(Self { socket, is_tls, address })
    }

    pub fn address(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }

    pub const fn socket_address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it has closed or reset the connection. What it sent beyond the call at hand is left where it is.
    pub fn has_gone(&self) -> bool {
        let mut next = [0];
        match self.socket.peek(&mut next) {
            Ok(0) => true,
            Ok(_) => self.is_tls && next[0] == TLS_ALERT,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}
