//! Receivers over HTTP and HTTPS, with a connection for each push: none is kept, so none leads past the judgement.
//!
//! awc's client lives on one thread: a thread of its own runs it, and everybody else hands it pushes.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{CONTENT_TYPE, HOST};
use actix_web::rt::Runtime;
use actix_web::rt::time::timeout;
use awc::error::{ConnectError, SendRequestError};
use awc::{Client, Connector};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use ipnet::IpNet;
use tokio::net::lookup_host;
use tokio::sync::{mpsc, oneshot};

use super::{NotTaken, Receivers, networks};
use crate::config::Pingback;
use crate::protocol::pingback::{Host, Target};
use crate::upstream::connection::{NotConnected, address, connector};
use crate::upstream::tls::{self, CaFileError};

/// Pushes handed over and not yet taken up; the driver has fewer in flight.
const HANDOVERS_MAX: usize = 1_024;
/// Longest time until a connection stands, TLS included.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Most addresses of a name that are looked at.
const ADDRESSES_MAX: usize = 16;

/// Why receivers cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("pingback.ca_file {0}")]
    CaFile(#[from] CaFileError),
    #[error("the thread for pushes did not start: {0}")]
    Thread(#[from] std::io::Error),
}

/// A push, and whoever waits for its end.
struct Handover {
    target: Target,
    body: Bytes,
    allow: Vec<IpNet>,
    deadline: Duration,
    reply: oneshot::Sender<Result<(), NotTaken>>,
}

/// Pushes over HTTP and HTTPS.
#[derive(Clone, Debug)]
pub struct HttpReceivers {
    pushes: mpsc::Sender<Handover>,
}

impl HttpReceivers {
    /// Starts the thread; it ends when the last clone is dropped.
    ///
    /// # Errors
    /// [`SetupError`] when the private CA cannot be read or the thread cannot start.
    pub fn start(settings: &Pingback) -> Result<Self, SetupError> {
        let tls = Arc::new(tls::config(settings.ca_file.as_deref())?);
        let (pushes, inbox) = mpsc::channel(HANDOVERS_MAX);
        let (tell, started) = std::sync::mpsc::channel();
        std::thread::Builder::new().name("receivers".into()).spawn(move || {
            let runtime = match Runtime::new() {
                Ok(runtime) => runtime,
                Err(error) => return tell.send(Err(error)).unwrap_or(()),
            };
            // Who starts us waits for this; it cannot have gone.
            let _ = tell.send(Ok(()));
            runtime.block_on(async move {
                let caller = Caller { plain: client(None), tls: client(Some(tls)) };
                take_pushes(caller, inbox).await;
            });
        })?;
        started.recv().map_err(std::io::Error::other)??;
        Ok(Self { pushes })
    }
}

impl Receivers for HttpReceivers {
    fn resolve(&self, host: &Host, settings: &Pingback) -> BoxFuture<'static, Result<Vec<IpAddr>, NotTaken>> {
        let (host, allow, deadline) = (host.clone(), settings.allow.clone(), settings.timeout);
        Box::pin(async move {
            // The port has no meaning here; the look-up wants one.
            let resolved = timeout(deadline, resolve(&host, 80, &allow)).await;
            resolved.unwrap_or(Err(NotTaken::NoSuchHost))
        })
    }

    fn push(
        &self,
        target: &Target,
        body: Bytes,
        settings: &Pingback,
    ) -> BoxFuture<'static, Result<(), NotTaken>> {
        let (pushes, target) = (self.pushes.clone(), target.clone());
        let (allow, deadline) = (settings.allow.clone(), settings.timeout);
        Box::pin(async move {
            let (reply, told) = oneshot::channel();
            let gone = || NotTaken::NotConnected("the thread for pushes has ended".to_owned());
            let push = Handover { target, body, allow, deadline, reply };
            pushes.send(push).await.map_err(|_| gone())?;
            told.await.map_err(|_| gone())?
        })
    }
}

async fn resolve(host: &Host, port: u16, allow: &[IpNet]) -> Result<Vec<IpAddr>, NotTaken> {
    let found = lookup_host((host.name(), port)).await.map_err(|_| NotTaken::NoSuchHost)?;
    let found = found.map(|address| address.ip()).take(ADDRESSES_MAX);
    networks::free(found, allow)
        .map_err(|forbidden| forbidden.map_or(NotTaken::NoSuchHost, NotTaken::Forbidden))
}

fn client(tls: Option<Arc<rustls::ClientConfig>>) -> Client {
    let connector = Connector::new().connector(connector(tls)).timeout(CONNECT_WITHIN);
    Client::builder()
        .connector(connector)
        .disable_timeout()
        .disable_redirects()
        .add_default_header(("User-Agent", concat!("capgate/", env!("CARGO_PKG_VERSION"))))
        .finish()
}

struct Caller {
    plain: Client,
    tls: Client,
}

async fn take_pushes(caller: Caller, mut inbox: mpsc::Receiver<Handover>) {
    let caller = Rc::new(caller);
    while let Some(Handover { target, body, allow, deadline, reply }) = inbox.recv().await {
        let caller = Rc::clone(&caller);
        actix_web::rt::spawn(async move {
            // The look-up of the name included.
            let whole = timeout(deadline, caller.push(&target, body, &allow)).await;
            // Nobody waits any more when the driver was stopped.
            let _ = reply.send(whole.unwrap_or_else(|_| Err(NotTaken::Lost("not in time".into()))));
        });
    }
}

impl Caller {
    async fn push(&self, target: &Target, body: Bytes, allow: &[IpNet]) -> Result<(), NotTaken> {
        let free = resolve(target.host(), target.port(), allow).await?;
        // Another one at the next attempt, for one of them may be dead.
        let chosen = free[usize::from(rand::random::<u16>()) % free.len()];
        let client = if target.is_tls() { &self.tls } else { &self.plain };
        let host = target.as_str().split('/').nth(2).unwrap_or_default().split('?').next();
        let reply = client
            .post(address(target.as_str()))
            .address(SocketAddr::new(chosen, target.port()))
            .insert_header((HOST, host.unwrap_or_default()))
            .insert_header((CONTENT_TYPE, "application/x-www-form-urlencoded"))
            .force_close()
            .send_body(body)
            .await
            .map_err(|error| failure(&error))?;
        // The head says it; what follows is not read, however long it is.
        match reply.status() {
            status if status.is_success() => Ok(()),
            status => Err(NotTaken::Status(status.as_u16())),
        }
    }
}

/// Not the error's own text where that could name the URL, which is the client's.
fn failure(error: &SendRequestError) -> NotTaken {
    match error {
        SendRequestError::Connect(ConnectError::Io(error)) if NotConnected::is_in(error) => {
            NotTaken::NotConnected(error.to_string())
        }
        SendRequestError::Connect(ConnectError::Timeout) => NotTaken::NotConnected("not in time".into()),
        SendRequestError::Timeout => NotTaken::Lost("not in time".into()),
        SendRequestError::Connect(_) | SendRequestError::Send(_) => {
            NotTaken::Lost("the connection was closed".into())
        }
        SendRequestError::Response(_) => NotTaken::Lost("it is not HTTP".into()),
        _ => NotTaken::Lost("the call failed".into()),
    }
}
