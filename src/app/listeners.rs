//! Where calls come in: the sockets, and the web servers on them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server as Listening, Service};
use actix_web::http::ConnectionType;
use actix_web::middleware::NormalizePath;
use actix_web::rt::net::TcpSocket;
use actix_web::{App as WebApp, HttpServer};

use super::tls::Tls;
use crate::server::{Server, routes};

/// Connections that the kernel keeps waiting while all workers are busy.
const BACKLOG: u32 = 1_024;
/// How long an idle client connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to send the head of a call.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// The inherited socket, or one of our own. Not [`TcpListener::bind`], whose short backlog would refuse a burst of
/// clients.
pub(super) fn listener(
    inherited: Option<TcpListener>,
    address: SocketAddr,
    setting: &str,
) -> anyhow::Result<TcpListener> {
    if let Some(socket) = inherited {
        return Ok(socket);
    }
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    listen().map_err(|error: io::Error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => "the port is in use".to_owned(),
            io::ErrorKind::PermissionDenied => "no permission".to_owned(),
            io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
            _ => error.to_string(),
        };
        anyhow::anyhow!("{setting}: cannot listen on {address}: {why}")
    })
}

pub(super) fn serve_clients(
    server: &Arc<Server>,
    listener: TcpListener,
    tls: Option<Tls>,
    drain: Duration,
) -> io::Result<Listening> {
    let for_each = Arc::clone(server);
    let mut web = HttpServer::new(move || {
        let server = Arc::clone(&for_each);
        WebApp::new()
            .configure(routes::clients(&server))
            .wrap(NormalizePath::trim())
            // The client's next call finds whoever listens then.
            .wrap_fn(move |call, next| {
                let (reply, server) = (next.call(call), Arc::clone(&server));
                async move {
                    let mut reply = reply.await?;
                    if server.driver.is_stopping() {
                        reply.response_mut().head_mut().set_connection_type(ConnectionType::Close);
                    }
                    Ok(reply)
                }
            })
    })
    .on_connect(routes::remember_peer(server))
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(HEAD_WITHIN)
    // `stop` cuts off what is left by then; this comes a little later, so that there is one end only.
    .shutdown_timeout(drain.as_secs() + 2)
    .disable_signals()
    .listen(listener)?;
    if let Some(Tls { listener, config, .. }) = tls {
        web = web.listen_rustls_0_23(listener, config)?;
    }
    Ok(web.run())
}

pub(super) fn serve_admin(server: &Arc<Server>, listener: TcpListener) -> io::Result<Listening> {
    let server = Arc::clone(server);
    Ok(HttpServer::new(move || WebApp::new().configure(routes::admin(&server)))
        .workers(1)
        .shutdown_timeout(1)
        .disable_signals()
        .listen(listener)?
        .run())
}
