//! The upstream over HTTP.
//!
//! awc's client lives on one thread: a thread of its own runs it, and everybody else hands it calls.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use actix_web::rt::Runtime;
use actix_web::rt::time::timeout;
use arc_swap::ArcSwap;
use awc::error::{ConnectError, PayloadError, SendRequestError};
use awc::{Client, ClientResponse, Connector};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::betrayal::shows;
use super::connection::{NotConnected, address, connector, is_ended};
use super::tls::{self, CaFileError};
use super::{Call, Upstream, UpstreamError};
use crate::config::UpstreamSettings;
use crate::protocol::ids::{UpstreamKey, hex};
use crate::protocol::reply::REPLY_BYTES_MAX;

/// Most calls on their way to the upstream at once; further ones wait for a connection.
const CONNECTIONS_MAX: usize = 256;
/// Calls handed over and not yet taken up; as many again as can be under way.
const HANDOVERS_MAX: usize = 1_024;
/// Longest time until a connection stands, TLS included: shorter than a call may take, for a call on a connection that
/// never came about is known not to be sent.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long an idle connection is kept for looks, which can be asked again when it turns out dead.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long an idle connection is kept for uploads: shorter than the 5 s after which common servers close theirs, for
/// an upload on a connection that was just closed could not be told from one whose reply was lost.
const KEEP_ALIVE_UPLOADS: Duration = Duration::from_secs(4);

/// Why the upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("upstream.ca_file {0}")]
    CaFile(#[from] CaFileError),
    #[error("the thread for upstream calls did not start: {0}")]
    Thread(#[from] std::io::Error),
}

/// What the thread is handed.
enum Handover {
    Call(Call, UpstreamKey, oneshot::Sender<Result<Bytes, UpstreamError>>),
    /// Calls that come later go out with these.
    Ways(Ways),
}

/// How calls go out, as the settings say.
#[derive(Clone, Debug)]
pub struct Ways {
    url: String,
    tls: Option<Arc<rustls::ClientConfig>>,
    timeout: Duration,
}

impl Ways {
    /// # Errors
    /// [`SetupError`] when the private CA cannot be read.
    pub fn new(settings: &UpstreamSettings) -> Result<Self, SetupError> {
        let tls = Arc::new(tls::config(settings.ca_file.as_deref())?);
        let tls = settings.url.starts_with("https:").then_some(tls);
        Ok(Self { url: address(&settings.url), tls, timeout: settings.timeout })
    }
}

/// Calls the upstream over HTTP or HTTPS with pooled connections.
#[derive(Clone, Debug)]
pub struct HttpUpstream {
    handovers: mpsc::Sender<Handover>,
    key: Arc<ArcSwap<UpstreamKey>>,
}

impl HttpUpstream {
    /// Starts the thread; it ends when the last clone is dropped.
    ///
    /// # Errors
    /// [`SetupError`] when the private CA cannot be read or the thread cannot start.
    pub fn start(settings: &UpstreamSettings, key: UpstreamKey) -> Result<Self, SetupError> {
        let ways = Ways::new(settings)?;
        let (handovers, inbox) = mpsc::channel(HANDOVERS_MAX);
        let (tell, started) = std::sync::mpsc::channel();
        std::thread::Builder::new().name("upstream".into()).spawn(move || {
            let runtime = match Runtime::new() {
                Ok(runtime) => runtime,
                Err(error) => return tell.send(Err(error)).unwrap_or(()),
            };
            // Who starts us waits for this; it cannot have gone.
            let _ = tell.send(Ok(()));
            runtime.block_on(async move { take_calls(Caller::new(ways), inbox).await });
        })?;
        started.recv().map_err(std::io::Error::other)??;
        Ok(Self { handovers, key: Arc::new(ArcSwap::from_pointee(key)) })
    }

    /// Calls that are made from now on carry this key.
    pub fn set_key(&self, key: UpstreamKey) {
        self.key.store(Arc::new(key));
    }

    /// Calls that are made from now on go out these ways; those under way end as they began.
    pub async fn reload(&self, ways: Ways) {
        // The thread lives for as long as this does; were it gone, the next call would tell.
        let _ = self.handovers.send(Handover::Ways(ways)).await;
    }
}

impl Upstream for HttpUpstream {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Bytes, UpstreamError>> {
        let handovers = self.handovers.clone();
        // At once, and not when it is first polled: whoever makes the call knows which key is in force now.
        let key = UpstreamKey::clone(&self.key.load());
        Box::pin(async move {
            let (sender, reply) = oneshot::channel();
            let gone = |sent: bool| {
                let text = "the thread for upstream calls has ended".to_owned();
                if sent { UpstreamError::Lost(text) } else { UpstreamError::NotSent(text) }
            };
            handovers.send(Handover::Call(call, key, sender)).await.map_err(|_| gone(false))?;
            reply.await.map_err(|_| gone(true))?
        })
    }
}

fn client(tls: Option<&Arc<rustls::ClientConfig>>, timeout: Duration, keep_alive: Duration) -> Client {
    let connector = Connector::new()
        .connector(connector(tls.cloned()))
        .timeout(CONNECT_WITHIN.min(timeout / 2))
        .limit(CONNECTIONS_MAX)
        .conn_keep_alive(keep_alive);
    Client::builder()
        .connector(connector)
        .timeout(timeout)
        .disable_redirects()
        .add_default_header(("User-Agent", concat!("capgate/", env!("CARGO_PKG_VERSION"))))
        .finish()
}

struct Caller {
    uploads: Client,
    looks: Client,
    url: String,
    /// For the whole call; the client's own time-out ends with the head of the reply.
    timeout: Duration,
}

async fn take_calls(caller: Caller, mut inbox: mpsc::Receiver<Handover>) {
    let mut caller = Rc::new(caller);
    while let Some(handover) = inbox.recv().await {
        let (call, key, reply) = match handover {
            Handover::Call(call, key, reply) => (call, key, reply),
            Handover::Ways(ways) => {
                caller = Rc::new(Caller::new(ways));
                continue;
            }
        };
        let caller = Rc::clone(&caller);
        actix_web::rt::spawn(async move {
            // Nobody waits any more when the driver was stopped; the reply has nowhere to go then.
            let whole = timeout(caller.timeout, caller.send(&call, &key)).await;
            let _ = reply
                .send(whole.unwrap_or_else(|_| Err(UpstreamError::Lost("no whole reply in time".into()))));
        });
    }
}

impl Caller {
    fn new(ways: Ways) -> Self {
        let Ways { url, tls, timeout } = ways;
        let [uploads, looks] =
            [KEEP_ALIVE_UPLOADS, KEEP_ALIVE].map(|keep_alive| client(tls.as_ref(), timeout, keep_alive));
        Self { uploads, looks, url, timeout }
    }

    async fn send(&self, call: &Call, key: &UpstreamKey) -> Result<Bytes, UpstreamError> {
        let page = format!("{}/{}", self.url, call.page());
        let sent = if let Call::Submit(upload) = call {
            let boundary = format!("capgate-{}", hex(&rand::random::<[u8; 16]>()));
            let (content_type, body) = upload.encode(key, &boundary);
            self.uploads.post(page).insert_header((CONTENT_TYPE, content_type)).send_body(body).await
        } else {
            let query = call.query(key);
            let query = String::from_utf8_lossy(&query);
            let page = if query.is_empty() { page } else { format!("{page}?{query}") };
            self.looks.get(page).send().await
        };
        let mut reply = sent.map_err(|error| failure(&error))?;
        if reply.status() != actix_web::http::StatusCode::OK {
            return Err(UpstreamError::Status(reply.status().as_u16()));
        }
        let body = read_body(&mut reply).await?;
        if shows(&body, key.expose()) {
            tracing::error!(
                call = call.kind().label(),
                "the upstream's reply shows the account's key; it is dropped"
            );
            return Ok(Bytes::new());
        }
        Ok(body)
    }
}

/// The whole body. The end of the connection is the end of the body only when the head announces no other, which awc
/// reads in HTTP/1.0 only: in HTTP/1.1 it takes such a body for an empty one, which says nothing and is asked for again.
async fn read_body<S>(reply: &mut ClientResponse<S>) -> Result<Bytes, UpstreamError>
where
    ClientResponse<S>: futures_util::Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let announces_end =
        reply.headers().contains_key(CONTENT_LENGTH) || reply.headers().contains_key(TRANSFER_ENCODING);
    let mut body = BytesMut::new();
    while let Some(part) = reply.next().await {
        match part {
            Ok(part) if body.len() + part.len() <= REPLY_BYTES_MAX => body.extend_from_slice(&part),
            Ok(_) => return Err(UpstreamError::Lost("the reply is too long".into())),
            Err(PayloadError::Io(error) | PayloadError::Incomplete(Some(error))) if is_ended(&error) => {
                if announces_end {
                    return Err(UpstreamError::Lost("the reply breaks off".into()));
                }
                break;
            }
            Err(error) => return Err(UpstreamError::Lost(format!("the reply's body: {error}"))),
        }
    }
    Ok(body.freeze())
}

/// Tells what was certainly not sent from what may have been: only what our own connector says is certain, for awc
/// reports a reply that was lost after the whole call was sent as `Connect(Disconnected)`.
fn failure(error: &SendRequestError) -> UpstreamError {
    // Not the error's own text where that could name the URL, for the key stands in it.
    match error {
        SendRequestError::Connect(ConnectError::Resolver(_) | ConnectError::NoRecords) => {
            UpstreamError::NotSent("the host's name was not found".into())
        }
        SendRequestError::Connect(ConnectError::Timeout) => {
            UpstreamError::NotSent("no connection in time".into())
        }
        SendRequestError::Connect(ConnectError::Io(error)) if NotConnected::is_in(error) => {
            UpstreamError::NotSent(error.to_string())
        }
        SendRequestError::Connect(ConnectError::SslIsNotSupported) | SendRequestError::Url(_) => {
            UpstreamError::NotSent("the upstream's address cannot be used".into())
        }
        SendRequestError::Timeout => UpstreamError::Lost("no reply in time".into()),
        SendRequestError::Connect(ConnectError::Io(error)) | SendRequestError::Send(error) => {
            UpstreamError::Lost(error.to_string())
        }
        SendRequestError::Connect(_) => UpstreamError::Lost("the connection was closed".into()),
        SendRequestError::Response(_) => UpstreamError::Lost("the reply is not HTTP".into()),
        _ => UpstreamError::Lost("the call failed".into()),
    }
}
