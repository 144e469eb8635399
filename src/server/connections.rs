//! Who is connected to the client listeners, and how much of them is taken.
//!
//! A stranger can cost us places and memory before it has said who it is. So connections are counted, all together and by
//! address, from the moment on that they are there, TLS agreed on or not, and so are the bytes of bodies that are being
//! read; what is over a limit is refused at once, in words. What the web server leaves open for ever is closed: a second head
//! that never ends, a reply that nobody reads ([`tidy`]).

mod bodies;

use std::any::Any;
use std::collections::HashMap;
use std::io::Write;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::limits::{HEAD_WITHIN, KEEP_ALIVE};
use super::peer::Peer;
use crate::clock::{Clock, Timestamp};
use crate::metrics::{Metrics, OpenConnection};
pub use bodies::{ADDRESS_BODIES_BYTES_MAX, BODIES_BYTES_MAX, BodyRoom, NoRoom};

/// How long a connection may stay with no call under way: a keep-alive, and the time for the next head.
pub const QUIET_MAX: Duration = Duration::from_secs(KEEP_ALIVE.as_secs() + HEAD_WITHIN.as_secs());
/// Between two looks for connections that are quiet for too long.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// How many connections are taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connections: usize,
    pub from_one_address: usize,
}

/// What one address, or all of them, have of us.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    connections: usize,
    body_bytes: usize,
}

#[derive(Debug, Default)]
struct Shares {
    all: Share,
    by_address: HashMap<IpAddr, Share>,
    open: HashMap<u64, Weak<Connection>>,
    /// The places of connections over which TLS is being agreed on.
    greeting: HashMap<SocketAddr, Place>,
    last_number: u64,
}

/// All connections to the client listeners.
#[derive(Debug)]
pub struct Connections {
    limits: Limits,
    clock: Clock,
    metrics: Arc<Metrics>,
    shares: Mutex<Shares>,
}

/// One connection; its place is free when this is dropped.
#[derive(Debug)]
pub struct Connection {
    pub(super) peer: Peer,
    connections: Arc<Connections>,
    number: u64,
    calls_under_way: AtomicUsize,
    /// When the last call ended, or the connection was made.
    quiet_since: AtomicU64,
    /// A reply has said that it is the last.
    is_ending: AtomicBool,
    _place: Place,
}

/// A connection's place among all, and among those of its address; free when this is dropped.
#[derive(Debug)]
struct Place {
    connections: Arc<Connections>,
    address: IpAddr,
    _counted: OpenConnection,
}

/// A connection over which TLS is being agreed on.
#[derive(Debug)]
pub struct Greeting {
    connections: Arc<Connections>,
    peer: SocketAddr,
    is_over: bool,
}

impl Connections {
    #[must_use]
    pub fn new(limits: Limits, clock: Clock, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { limits, clock, metrics, shares: Mutex::default() })
    }

    /// Takes a new connection, or refuses it: none then, and it is closed.
    pub fn taken(self: &Arc<Self>, connection: &dyn Any) -> Option<Arc<Connection>> {
        // Without a file descriptor to spare nothing could be told or watched.
        let peer = Peer::of(connection)?;
        let greeted = self.with(|shares| shares.greeting.remove(&peer.socket_address()));
        let place = match greeted.map_or_else(|| self.place(peer.address()), Ok) {
            Ok(place) => place,
            Err(why) => {
                peer.refuse(why);
                return None;
            }
        };
        let number = self.with(|shares| {
            shares.last_number += 1;
            shares.last_number
        });
        let connection = Arc::new(Connection {
            peer,
            connections: Arc::clone(self),
            number,
            calls_under_way: AtomicUsize::new(0),
            quiet_since: AtomicU64::new(self.clock.now().as_millis()),
            is_ending: AtomicBool::new(false),
            _place: place,
        });
        self.with(|shares| shares.open.insert(number, Arc::downgrade(&connection)));
        Some(connection)
    }

    /// A new connection, before TLS is agreed on: until then it has a place like any other. None when there is no place, and
    /// it is to be closed.
    pub fn greeted(self: &Arc<Self>, peer: SocketAddr) -> Option<Greeting> {
        let place = self.place(peer.ip().to_canonical()).ok()?;
        // One that was left there, if any, is given back outside of the lock.
        drop(self.with(|shares| shares.greeting.insert(peer, place)));
        Some(Greeting { connections: Arc::clone(self), peer, is_over: false })
    }

    fn place(self: &Arc<Self>, address: IpAddr) -> Result<Place, &'static str> {
        let taken = self.with(|shares| {
            if shares.all.connections >= self.limits.connections {
                return Err("too many connections");
            }
            let share = shares.by_address.entry(address).or_default();
            if share.connections >= self.limits.from_one_address {
                return Err("too many connections from this address");
            }
            share.connections += 1;
            shares.all.connections += 1;
            Ok(())
        });
        match taken {
            Ok(()) => {
                let counted = self.metrics.connection_opened();
                Ok(Place { connections: Arc::clone(self), address, _counted: counted })
            }
            Err(why) => {
                self.metrics.connection_refused();
                Err(why)
            }
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Shares) -> T) -> T {
        change(&mut self.shares.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Closes what is quiet for too long; the count of it.
    fn close_quiet(&self) -> usize {
        let now = self.clock.now();
        let open: Vec<_> = self.with(|shares| shares.open.values().filter_map(Weak::upgrade).collect());
        let quiet = open.iter().filter(|connection| {
            let since = Timestamp(connection.quiet_since.load(Ordering::Acquire));
            connection.calls_under_way.load(Ordering::Acquire) == 0 && now.since(since) > QUIET_MAX
        });
        quiet.map(|connection| connection.peer.close()).count()
    }
}

/// Closes quiet connections, for ever.
pub async fn tidy(connections: Arc<Connections>) {
    loop {
        connections.clock.sleep(TIDY_EVERY).await;
        let closed = connections.close_quiet();
        if closed > 0 {
            tracing::debug!(closed, "connections of clients that were quiet for too long");
        }
    }
}

impl Connection {
    /// A call is under way until what this returns is dropped.
    pub fn call_begins(self: &Arc<Self>) -> UnderWay {
        self.calls_under_way.fetch_add(1, Ordering::AcqRel);
        UnderWay(Arc::clone(self))
    }

    /// A call that came at `now` has been answered at once.
    pub fn call_was_answered(&self, now: Timestamp) {
        self.quiet_since.store(now.as_millis(), Ordering::Release);
    }

    /// The reply that comes now is the last.
    pub fn ends(&self) {
        self.is_ending.store(true, Ordering::Release);
    }

    /// Whether a reply has said that it is the last. The web server reads calls ahead, and carries out all that it has read.
    pub fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.with(|shares| shares.open.remove(&self.number));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.with(|shares| {
            shares.all.connections -= 1;
            if let Some(share) = shares.by_address.get_mut(&self.address) {
                share.connections -= 1;
                if share.connections == 0 {
                    shares.by_address.remove(&self.address);
                }
            }
        });
    }
}

impl Greeting {
    /// TLS is agreed on: the place stays the connection's.
    pub fn is_over(mut self) {
        self.is_over = true;
    }
}

impl Drop for Greeting {
    fn drop(&mut self) {
        if !self.is_over {
            drop(self.connections.with(|shares| shares.greeting.remove(&self.peer)));
        }
    }
}

/// A call that is being answered.
#[derive(Debug)]
pub struct UnderWay(Arc<Connection>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.call_was_answered(self.0.connections.clock.now());
        self.0.calls_under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Peer {
    /// Says why and closes; over https there is nobody yet to whom it could be said.
    fn refuse(&self, why: &str) {
        if !self.is_tls {
            let text = format!(
                "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Type: text/plain\r\n\
                 Content-Length: {}\r\n\r\n{why}\n",
                why.len() + 1
            );
            // A new connection has room for so much; whoever does not want it misses nothing.
            let _ = (&self.socket).write_all(text.as_bytes());
        }
        self.close();
    }

    fn close(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// A client, and its connection as the server has it.
    fn connect(connections: &Arc<Connections>) -> (TcpStream, Option<Arc<Connection>>) {
        let (client, server) = pair();
        (client, connections.taken(&server))
    }

    fn pair() -> (TcpStream, actix_web::rt::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        (client, actix_web::rt::net::TcpStream::from_std(server).unwrap())
    }

    fn connections(connections: usize) -> Arc<Connections> {
        let limits = Limits { connections, from_one_address: connections };
        Connections::new(limits, Clock::system(), Arc::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_quiet_for_too_long_is_closed_and_one_with_a_call_is_not() {
        let connections = connections(2);
        let (mut quiet, _kept) = connect(&connections);
        let (_busy, kept) = connect(&connections);
        let under_way = kept.unwrap().call_begins();
        tokio::time::advance(QUIET_MAX).await;
        assert_eq!(connections.close_quiet(), 0);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(connections.close_quiet(), 1);
        assert_eq!(quiet.read(&mut [0]).unwrap(), 0);
        drop(under_way);
    }

    #[tokio::test]
    async fn as_many_bytes_of_bodies_as_an_address_may_have_and_one_more() {
        let connections = connections(2);
        let (_one, first) = connect(&connections);
        let (_other, second) = connect(&connections);
        let (first, second) = (first.unwrap(), second.unwrap());
        let mut room = first.body();
        assert_eq!(room.take(ADDRESS_BODIES_BYTES_MAX), Ok(()));
        assert_eq!(second.body().take(1), Err(NoRoom));
        drop(room);
        assert_eq!(second.body().take(ADDRESS_BODIES_BYTES_MAX), Ok(()));
        assert_eq!(second.body().take(ADDRESS_BODIES_BYTES_MAX + 1), Err(NoRoom));
    }

    #[tokio::test]
    async fn a_connection_that_ends_frees_its_place_and_leaves_nothing() {
        let connections = connections(1);
        let (_client, kept) = connect(&connections);
        assert!(kept.is_some() && connect(&connections).1.is_none());
        drop(kept);
        assert!(connections.with(|shares| shares.by_address.is_empty() && shares.open.is_empty()));
        assert!(connect(&connections).1.is_some());
    }
    #[tokio::test]
    async fn a_connection_counts_while_tls_is_agreed_on_and_no_second_time_afterwards() {
        let connections = connections(1);
        let (_client, server) = pair();
        let another = "127.0.0.1:1".parse().unwrap();
        let greeting = connections.greeted(server.peer_addr().unwrap()).unwrap();
        assert!(connections.greeted(another).is_none(), "one more");
        greeting.is_over();
        let kept = connections.taken(&server);
        assert!(kept.is_some() && connections.greeted(another).is_none());
        drop(kept);
        let given_up = connections.greeted(another);
        assert!(given_up.is_some() && connections.greeted(server.peer_addr().unwrap()).is_none());
        drop(given_up);
        assert!(connections.with(|shares| shares.by_address.is_empty() && shares.greeting.is_empty()));
    }
}
