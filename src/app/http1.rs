//! The web server on the clients' sockets. It speaks HTTP/1.1 and nothing else, over https too: the framework's own would
//! offer HTTP/2 there, through a version of h2 with a known flaw (RUSTSEC-2026-0258).

use std::any::Any;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::body::{BoxBody, EitherBody, MessageBody};
use actix_http::error::DispatchError;
use actix_http::h1::{ExpectHandler, UpgradeHandler};
use actix_http::{HttpServiceBuilder, Request, Response};
use actix_server::{GracefulShutdownSignal, Server as Listening};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, apply_fn_factory, map_config,
};
use actix_tls::accept::TlsError;
use actix_tls::accept::rustls_0_23::{Acceptor, AcceptorService, TlsStream};
use actix_web::App as WebApp;
use actix_web::HttpResponse;
use actix_web::dev::{AppConfig, Extensions, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use futures_util::TryFutureExt;
use futures_util::future::{Either, ready};
use rustls::ServerConfig;

use super::tls::Tls;
use crate::server::connections::Connections;
use crate::server::limits::{HEAD_WITHIN, KEEP_ALIVE, TLS_WITHIN};
use crate::server::{Server, door, routes};

/// How long the other side may take to close a connection that ends.
const DISCONNECT_WITHIN: Duration = Duration::from_secs(1);

/// Serves clients on `listener`, and by https.
pub(super) fn serve(
    server: &Arc<Server>,
    connections: &Arc<Connections>,
    (listener, tls): (TcpListener, Option<Tls>),
    shutdown_timeout: Duration,
) -> io::Result<Listening> {
    let builder = Listening::build().shutdown_timeout(shutdown_timeout.as_secs()).disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let (for_each, known, told) = (Arc::clone(server), Arc::clone(connections), stopping.clone());
    let mut builder =
        builder.listen("http", listener, move || http1(&known, &told).h1(web(&for_each)).tcp())?;
    if let Some(Tls { listener, config, .. }) = tls {
        let (for_each, known) = (Arc::clone(server), Arc::clone(connections));
        builder = builder.listen("https", listener, move || {
            let web = http1(&known, &stopping).h1(web(&for_each)).map_err(TlsError::Service);
            agreed(&known, config.clone()).and_then(web)
        })?;
    }
    Ok(builder.run())
}

/// TLS on a new connection. Until it is agreed on, the connection counts like any other.
fn agreed(
    connections: &Arc<Connections>,
    config: ServerConfig,
) -> impl ServiceFactory<
    TcpStream,
    Config = (),
    Response = (TlsStream<TcpStream>, Option<SocketAddr>),
    Error = TlsError<io::Error, DispatchError>,
    InitError = (),
> + use<> {
    let connections = Arc::clone(connections);
    let mut acceptor = Acceptor::new(config);
    acceptor.set_handshake_timeout(TLS_WITHIN);
    let agreed = apply_fn_factory::<_, _, _, _, TcpStream, TcpStream, _, _>(
        acceptor,
        move |connection: TcpStream, acceptor: &AcceptorService| {
            let peer = connection.peer_addr().ok();
            let greeting = peer.and_then(|peer| connections.greeted(peer));
            let agreed = greeting.map(|greeting| (greeting, acceptor.call(connection)));
            async move {
                let Some((greeting, agreed)) = agreed else {
                    return Err(TlsError::Tls(io::ErrorKind::ConnectionRefused.into()));
                };
                let connection = agreed.await?;
                greeting.is_over();
                Ok((connection, peer))
            }
        },
    );
    agreed.map_init_err(|()| ()).map_err(TlsError::into_service_error)
}

/// The protocol on one kind of connection.
fn http1<T, S>(
    connections: &Arc<Connections>,
    stopping: &GracefulShutdownSignal,
) -> HttpServiceBuilder<T, S, ExpectHandler, UpgradeHandler>
where
    T: 'static,
    S: ServiceFactory<Request, Config = ()>,
    S::Service: Service<Request, Future: 'static>,
    S::Error: Into<Response<BoxBody>> + 'static,
    S::InitError: std::fmt::Debug,
{
    let (remember, stopping) = (routes::remember_peer(connections), stopping.clone());
    HttpServiceBuilder::default()
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_WITHIN)
        .client_disconnect_timeout(DISCONNECT_WITHIN)
        .on_connect_ext(move |connection: &T, data: &mut Extensions| remember(connection as &dyn Any, data))
}

/// The clients' pages, and before them what is answered at once.
fn web(
    server: &Arc<Server>,
) -> impl ServiceFactory<
    Request,
    Config = (),
    Response = Response<impl MessageBody + use<>>,
    Error = HttpResponse,
    InitError = (),
> + use<> {
    let app = WebApp::new().configure(routes::clients(server)).wrap(from_fn(door::pass)).into_factory();
    let app =
        map_config(app.map_err(|error: actix_web::Error| error.error_response()), |()| AppConfig::default());
    at_once_or(server, app)
}

/// Polls that need not wait are spared the way through the framework to their handler.
fn at_once_or<F, B: MessageBody>(
    server: &Arc<Server>,
    app: F,
) -> impl ServiceFactory<
    Request,
    Config = (),
    Response = Response<EitherBody<BoxBody, B>>,
    Error = F::Error,
    InitError = F::InitError,
> + use<F, B>
where
    F: ServiceFactory<Request, Config = (), Response = ServiceResponse<B>>,
{
    let server = Arc::clone(server);
    apply_fn_factory(app, move |call: Request, app: &F::Service| {
        if let Some(reply) = door::at_once(&server, &call) {
            return Either::Left(ready(Ok(Response::from(reply).map_body(|_, body| EitherBody::left(body)))));
        }
        let answered = app.call(call);
        Either::Right(
            answered.map_ok(|reply| Response::from(reply).map_body(|_, body| EitherBody::right(body))),
        )
    })
}
