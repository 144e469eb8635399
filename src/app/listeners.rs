//! Where calls come in: the sockets, and the web servers on them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server as Listening;
use actix_web::middleware::NormalizePath;
use actix_web::rt::net::TcpSocket;
use actix_web::{App as WebApp, HttpServer};

use super::DRAIN_SECONDS;
use crate::server::{Server, routes};

/// Connections that the kernel keeps waiting while all workers are busy.
const BACKLOG: u32 = 1_024;
/// How long an idle client connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to send the head of a call.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// A listening socket. Not [`TcpListener::bind`], whose short backlog would refuse a burst of clients.
pub(super) fn listener(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
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
    tls: Option<(TcpListener, rustls::ServerConfig)>,
) -> io::Result<Listening> {
    let server = Arc::clone(server);
    let mut web = HttpServer::new(move || {
        WebApp::new().wrap(NormalizePath::trim()).configure(routes::clients(&server))
    })
    .on_connect(routes::remember_peer)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(HEAD_WITHIN)
    .shutdown_timeout(DRAIN_SECONDS)
    .disable_signals()
    .listen(listener)?;
    if let Some((listener, config)) = tls {
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
