//! Connections to the upstream and to receivers, whose end is never taken for the end of a reply.
//!
//! awc reads a reply in chunks that breaks off between two of them as a whole one, and half an id is another captcha's.
//! So a connection that ends is an error here ([`is_ended`]), over TLS as well as without, and the reader of a reply
//! decides whether it was the end that the reply's head announced.
//!
//! TLS is made here and not by awc, for awc would read the end of the TLS session as the end of the reply again; it is
//! therefore told `http://` addresses only, see [`address`].

use std::fmt;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_tls::connect::rustls_0_23::TlsConnector;
use actix_tls::connect::rustls_0_23::reexports::AsyncTlsStream;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection, Connector, Host, Resolver};
use actix_web::dev::{Service, fn_service};
use actix_web::rt::net::{ActixStream, Ready, TcpStream};
use awc::http::Uri;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// No connection came about: not a byte of the call was sent.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotConnected(String);

impl NotConnected {
    fn wrap(error: &io::Error) -> ConnectError {
        ConnectError::Io(io::Error::new(error.kind(), Self(error.to_string())))
    }

    /// Whether an error of a call says so.
    #[must_use]
    pub fn is_in(error: &io::Error) -> bool {
        error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}

/// Whether reading failed because the connection ended.
#[must_use]
pub fn is_ended(error: &io::Error) -> bool {
    error.kind() == ErrorKind::UnexpectedEof
}

/// The address of the page as awc is told it, with the port of the true one.
#[must_use]
pub fn address(page: &str) -> String {
    let Some(rest) = page.strip_prefix("https://") else {
        return page.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let has_port = authority.rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok());
    let port = if has_port && authority.contains(':') { "" } else { ":443" };
    format!("http://{authority}{port}{path}")
}

/// Connects by TCP and, with `tls`, makes a TLS session.
pub fn connector(
    tls: Option<Arc<ClientConfig>>,
) -> impl Service<ConnectInfo<Uri>, Response = Connection<Uri, UpstreamStream>, Error = ConnectError> + Clone
{
    fn_service(move |target: ConnectInfo<Uri>| {
        let tls = tls.clone();
        async move {
            let tcp = Connector::new(Resolver::default()).service().call(target).await;
            let connection = tcp.map_err(|error| match error {
                ConnectError::Io(error) => NotConnected::wrap(&error),
                error => error,
            })?;
            let Some(tls) = tls else {
                let (stream, connection) = connection.replace_io(());
                return Ok(connection.replace_io(UpstreamStream::Plain(stream)).1);
            };
            let (tcp, target) = connection.into_parts();
            let name = Connection::new(ServerName::of(&target), tcp);
            let session = TlsConnector::service(tls).call(name).await;
            let (stream, _) = session.map_err(|error| NotConnected::wrap(&error))?.into_parts();
            Ok(Connection::new(target, UpstreamStream::Tls(Box::new(stream))))
        }
    })
}

/// The name that the upstream's certificate must have: without the brackets of an IPv6 address, which TLS does not know.
#[derive(Debug)]
struct ServerName(String);

impl ServerName {
    fn of(target: &Uri) -> Self {
        Self(target.host().unwrap_or_default().trim_matches(['[', ']']).to_owned())
    }
}

impl Host for ServerName {
    fn hostname(&self) -> &str {
        &self.0
    }
}

/// A connection whose end is an error.
pub enum UpstreamStream {
    Plain(TcpStream),
    Tls(Box<AsyncTlsStream<TcpStream>>),
}

impl UpstreamStream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl fmt::Debug for UpstreamStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tcp().fmt(formatter)
    }
}

impl ActixStream for UpstreamStream {
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_read_ready(self.tcp(), context)
    }

    fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_write_ready(self.tcp(), context)
    }
}

impl AsyncRead for UpstreamStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (had, had_room) = (buffer.filled().len(), buffer.remaining() > 0);
        let read = match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        match read {
            Poll::Ready(Ok(())) if had_room && buffer.filled().len() == had => {
                Poll::Ready(Err(io::Error::new(ErrorKind::UnexpectedEof, "the connection was closed")))
            }
            read => read,
        }
    }
}

impl AsyncWrite for UpstreamStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, buffer),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_names_an_address_without_brackets() {
        for (target, name) in [("http://[::1]:8443/in.php", "::1"), ("http://gw.example:443/", "gw.example")]
        {
            assert_eq!(ServerName::of(&target.parse().unwrap()).hostname(), name);
        }
    }

    #[test]
    fn awc_is_told_the_port_of_https() {
        for (page, told) in [
            ("http://127.0.0.1:80/in.php", "http://127.0.0.1:80/in.php"),
            ("https://2captcha.com/in.php", "http://2captcha.com:443/in.php"),
            ("https://gw.example:8443/a/in.php?x=1:2", "http://gw.example:8443/a/in.php?x=1:2"),
            ("https://[::1]/in.php", "http://[::1]:443/in.php"),
            ("https://[::1]:8443/in.php", "http://[::1]:8443/in.php"),
        ] {
            assert_eq!(address(page), told);
        }
    }
}
