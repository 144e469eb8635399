//! Pushes answers to receivers on this machine, and to no other: a simulator is no way to reach a stranger.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::pushes::Push;
use super::Shared;
use crate::protocol::Field;
use crate::protocol::submit::urlencoded;

/// How long a receiver may take.
const WITHIN: Duration = Duration::from_secs(5);
/// Longest time between two looks at what is due, for a switch may change it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Pushes what is due, for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        let uploaded = shared.uploaded.notified();
        let (due, next) = {
            let mut model = shared.model();
            (model.pushes_due(shared.clock.now()), model.next_push_at())
        };
        for (push, code) in due {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move { self::push(&shared, push, code).await });
        }
        tokio::select! {
            () = uploaded => {}
            () = shared.clock.sleep_until(next.min(shared.clock.now() + LOOK_EVERY)) => {}
        }
    }
}

/// Tells a receiver, once.
pub(super) async fn push(shared: &Shared, push: Push, code: String) {
    if let Ok(Ok(true)) = timeout(WITHIN, deliver(&push, code)).await {
        shared.model().push_taken(push.id, shared.clock.now());
    }
}

/// Whether the receiver answered with status 200.
async fn deliver(push: &Push, code: String) -> io::Result<bool> {
    let Some((address, path)) = on_this_machine(&push.url) else { return Ok(false) };
    let fields = [Field::text("id", push.id.to_string()), Field::text("code", code)];
    let body = urlencoded(fields.iter(), 256);
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await?;
    Ok(&status == b"HTTP/1.1 200")
}

/// Address and path of a plain URL on a loopback address.
fn on_this_machine(url: &str) -> Option<(String, &str)> {
    let rest =
        url.split_once("://").map_or(Some(url), |(scheme, rest)| (scheme == "http").then_some(rest))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    let host = if host == "localhost" { "127.0.0.1" } else { host };
    let host: std::net::IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
    let address = std::net::SocketAddr::new(host, port.parse().ok()?);
    host.is_loopback().then(|| (address.to_string(), if path.is_empty() { "/" } else { path }))
}

#[cfg(test)]
mod tests {
    use super::on_this_machine;

    #[test]
    fn nothing_is_pushed_to_another_machine() {
        let address = |url| on_this_machine(url).map(|(address, path)| format!("{address} {path}"));
        for (url, reached) in [
            ("http://127.0.0.1:8080/a?b=c", Some("127.0.0.1:8080 /a?b=c")),
            ("127.0.0.1/test.php", Some("127.0.0.1:80 /test.php")),
            ("http://localhost:81", Some("127.0.0.1:81 /")),
            ("http://[::1]:81/", Some("[::1]:81 /")),
            ("https://127.0.0.1/", None),
            ("http://10.0.0.1/", None),
            ("http://gw.example/", None),
            ("http://127.0.0.1.example/", None),
            ("", None),
        ] {
            assert_eq!(address(url).as_deref(), reached, "{url}");
        }
    }
}
