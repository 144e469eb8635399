//! Where calls come in: the sockets, and the web servers on them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_tls::accept::max_concurrent_tls_connect;
use actix_web::dev::Server as Listening;
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpSocket;
use actix_web::{App as WebApp, HttpServer, rt};

use super::tls::Tls;
use super::{files, http1};
use crate::config::Listen;
use crate::server::connections::{self, Connections, Limits};
use crate::server::limits::ADMIN_CONNECTIONS_MAX;
use crate::server::{Server, guard, routes};

/// Connections that the kernel keeps waiting while all workers are busy.
const BACKLOG: u32 = 4_096;
/// File descriptors that are not for clients.
const FILES_KEPT: u64 = 400;

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
    listen: &Listen,
) -> io::Result<Listening> {
    let limits = limits(listen, files::limit());
    // Connections over which TLS is being agreed on count like others; the web server's own limit of them would keep all of its
    // listeners waiting, the plain one too.
    max_concurrent_tls_connect(limits.connections);
    let connections = Connections::new(limits, server.driver.clock, Arc::clone(&server.metrics));
    rt::spawn(connections::tidy(Arc::clone(&connections)));
    // `stop` cuts off what is left by then; this comes a little later, so that there is one end only.
    http1::serve(server, &connections, (listener, tls), listen.drain + Duration::from_secs(2))
}

/// As many connections as the settings allow, or as there are file descriptors for: each takes two, and the upstream, the
/// store and the operators need theirs whatever clients do.
fn limits(listen: &Listen, files: Option<u64>) -> Limits {
    let possible = files.map_or(usize::MAX, |files| {
        usize::try_from(files.saturating_sub(FILES_KEPT) / 2).unwrap_or(usize::MAX).max(1)
    });
    let asked = listen.connections_max;
    if possible < asked {
        tracing::warn!(
            asked,
            possible,
            "fewer connections of clients are taken: the limit of open files is low (ulimit -n)"
        );
    }
    Limits { connections: asked.min(possible), from_one_address: listen.connections_per_address }
}

pub(super) fn serve_admin(server: &Arc<Server>, listener: TcpListener) -> io::Result<Listening> {
    let server = Arc::clone(server);
    Ok(HttpServer::new(move || WebApp::new().wrap(from_fn(guard::guard)).configure(routes::admin(&server)))
        .workers(1)
        .max_connections(ADMIN_CONNECTIONS_MAX)
        .shutdown_timeout(1)
        .disable_signals()
        .listen(listener)?
        .run())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_file_descriptors_for_the_rest() {
        let listen = Listen { connections_max: 1_000, ..Listen::default() };
        for (files, connections) in
            [(None, 1_000), (Some(1_000_000), 1_000), (Some(2_400), 1_000), (Some(2_398), 999), (Some(64), 1)]
        {
            assert_eq!(limits(&listen, files).connections, connections, "{files:?}");
        }
    }
}
