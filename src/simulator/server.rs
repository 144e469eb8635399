//! The simulated upstream over HTTP, with pages to watch and to change it while it runs.
//!
//! `/in.php`, `/res.php` and `/load.php` are the v1 interface. `GET /state` counts what was seen, `GET /captchas`
//! lists the last 15 minutes, `POST /scenario` merges a JSON object into the switches, `POST /reset` counts anew.

mod pushing;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody, SizedStream};
use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::captchas::Captcha;
use super::faults::Endpoint;
use super::model::Model;
use super::reply::{Fault, Reply};
use super::scenario::{Scenario, ScenarioError};
use super::state::State;
use crate::clock::{Clock, Timestamp};
use crate::protocol::Form;

/// Largest body that is read; rotate takes nine images (protocol.md 1.1).
const BODY_MAX_BYTES: usize = 32 * 1024 * 1024;
/// Longer than a sender pauses, so that a connection ends because a fault says so and for no other reason.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Between the first half of a reply that is cut and the end of its connection, so that the half gets out.
const CUT_PAUSE: Duration = Duration::from_millis(20);

struct Shared {
    model: Mutex<Model>,
    clock: Clock,
    /// An upload may have planned a push.
    uploaded: Notify,
}

impl Shared {
    /// A panic while the lock was held fails its own call only; the counters stay readable.
    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running simulator; it stops when this is dropped.
pub struct Simulator {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: ServerHandle,
    pushing: JoinHandle<()>,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Simulator on {}", self.address)
    }
}

impl Simulator {
    /// Listens on `listen` (port 0: any free one) and answers on a thread of its own. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn start(scenario: Scenario, listen: impl ToSocketAddrs) -> io::Result<Self> {
        let clock = Clock::system();
        let model = Mutex::new(Model::new(scenario, clock.now()));
        let shared = Arc::new(Shared { model, clock, uploaded: Notify::new() });
        let data = Data::from(Arc::clone(&shared));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(Data::clone(&data))
                .app_data(web::PayloadConfig::new(BODY_MAX_BYTES))
                .route("/in.php", web::route().to(in_php))
                .route("/res.php", web::route().to(res_php))
                .route("/load.php", web::route().to(load_php))
                .route("/state", web::get().to(state))
                .route("/captchas", web::get().to(captchas))
                .route("/scenario", web::post().to(change_scenario))
                .route("/reset", web::post().to(reset))
        })
        .workers(1)
        .keep_alive(KEEP_ALIVE)
        .disable_signals()
        .bind(listen)?;
        let address = server.addrs().first().copied().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let server = server.run();
        let handle = server.handle();
        tokio::spawn(server);
        let pushing = tokio::spawn(pushing::run(Arc::clone(&shared)));
        Ok(Self { address, shared, server: handle, pushing })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://` and the address: what the gateway's `upstream.url` is set to.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has seen so far; the same as `GET /state`.
    pub fn state(&self) -> State {
        self.shared.model().state(self.now())
    }

    /// The captchas of the last 15 minutes, oldest first; the same as `GET /captchas`.
    pub fn captchas(&self) -> Vec<Captcha> {
        self.shared.model().captchas().cloned().collect()
    }

    /// Merges a JSON object into the switches; the same as `POST /scenario`.
    ///
    /// # Errors
    /// An unknown switch, or a value that cannot be read or is out of bounds; nothing is changed then.
    pub fn change(&self, patch: &Value) -> Result<(), ScenarioError> {
        self.shared.model().change(patch)
    }

    /// Counts anew and ends every block; captchas stay. The same as `POST /reset`.
    pub fn reset(&self) {
        self.shared.model().reset(self.now());
    }

    /// Its clock's moment, on which the times in [`State`] are.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Ends every connection, also those that a fault holds open, and waits until the port is free.
    pub async fn stop(self) {
        self.pushing.abort();
        self.server.stop(false).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.pushing.abort();
        // The command is sent by the call itself; the future only waits for its end.
        drop(self.server.stop(false));
    }
}

async fn in_php(request: HttpRequest, body: Bytes, shared: Data<Shared>) -> HttpResponse {
    call(Endpoint::InPhp, &request, &body, &shared).await
}

async fn res_php(request: HttpRequest, body: Bytes, shared: Data<Shared>) -> HttpResponse {
    call(Endpoint::ResPhp, &request, &body, &shared).await
}

async fn load_php(request: HttpRequest, body: Bytes, shared: Data<Shared>) -> HttpResponse {
    call(Endpoint::LoadPhp, &request, &body, &shared).await
}

async fn call(endpoint: Endpoint, request: &HttpRequest, body: &Bytes, shared: &Shared) -> HttpResponse {
    let query = request.query_string();
    let now = shared.clock.now();
    let (reply, early) = {
        let mut model = shared.model();
        let reply = if let Ok(form) = Form::decode(query, body) {
            model.handle(endpoint, &form, now)
        } else {
            let query = Form::decode(query, &Bytes::new()).unwrap_or_default();
            model.handle_unreadable(endpoint, &query, now)
        };
        (reply, model.early_pushes(now))
    };
    for (push, code) in early {
        pushing::push(shared, push, code).await;
    }
    if endpoint == Endpoint::InPhp {
        shared.uploaded.notify_one();
    }
    send(reply, shared.clock).await
}

async fn send(reply: Reply, clock: Clock) -> HttpResponse {
    let mut head = HttpResponse::build(StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK));
    head.content_type(reply.content_type);
    if reply.header_acao {
        head.insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"));
    }
    match reply.fault {
        None => head.body(reply.body),
        Some(Fault::Delay(delay)) => {
            clock.sleep(delay).await;
            head.body(reply.body)
        }
        Some(Fault::Hang) => std::future::pending().await,
        // A body that fails before its first byte takes the buffered head with it.
        Some(Fault::Reset) => head.body(cut(&reply.body, 0, clock)),
        Some(Fault::CutAfter(bytes)) => head.body(cut(&reply.body, bytes, clock)),
        Some(Fault::Endless) => {
            let chunk = move || Ok::<_, io::Error>(reply.body.clone());
            head.streaming(stream::repeat_with(chunk))
        }
    }
}

/// A body that is announced in full and ends, with its connection, after `bytes`.
fn cut(body: &Bytes, bytes: usize, clock: Clock) -> BoxBody {
    let announced = u64::try_from(body.len()).unwrap_or(u64::MAX).max(1);
    let sent = (bytes > 0).then(|| body.slice(..bytes));
    let end = stream::once(async move {
        if bytes > 0 {
            clock.sleep(CUT_PAUSE).await;
        }
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    let body = SizedStream::new(announced, Box::pin(stream::iter(sent.map(Ok)).chain(end)));
    debug_assert!(matches!(body.size(), BodySize::Sized(_)));
    BoxBody::new(body)
}

async fn state(shared: Data<Shared>) -> HttpResponse {
    let state = shared.model().state(shared.clock.now());
    HttpResponse::Ok().json(state)
}

async fn captchas(shared: Data<Shared>) -> HttpResponse {
    let captchas: Vec<Captcha> = shared.model().captchas().cloned().collect();
    HttpResponse::Ok().json(captchas)
}

/// Answers with the state, never with the switches: the key is one of them.
async fn change_scenario(body: Bytes, shared: Data<Shared>) -> HttpResponse {
    let switched = serde_json::from_slice(&body)
        .map_err(ScenarioError::from)
        .and_then(|patch: Value| shared.model().change(&patch));
    match switched {
        Ok(()) => state(shared).await,
        Err(error) => HttpResponse::BadRequest().body(error.to_string()),
    }
}

async fn reset(shared: Data<Shared>) -> HttpResponse {
    shared.model().reset(shared.clock.now());
    state(shared).await
}

#[cfg(test)]
mod tests;
