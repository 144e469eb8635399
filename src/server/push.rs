//! What the upstream pushes to us, on a path that it alone knows, below whatever prefix stands before us.

use std::time::Duration;

use actix_web::rt::time::timeout;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;

use super::{Server, respond};

const INTERFACE: &str = "the interface is /in.php, /res.php and /load.php";
/// Largest body of a push; an answer has a few kB.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a push may take to arrive.
pub const BODY_WITHIN: Duration = Duration::from_secs(10);

/// A path that no page has: a push, or nothing.
pub(super) async fn or_nothing(server: Data<Server>, call: HttpRequest, body: Payload) -> HttpResponse {
    let pushes = &server.driver.pushes;
    if !pushes.is_path(call.path()) {
        return respond::no_page(INTERFACE);
    }
    // What is too long or too slow is no push that we could take; its sender is told the same.
    if let Ok(Ok(Ok(body))) = timeout(BODY_WITHIN, body.to_bytes_limited(BODY_BYTES_MAX)).await {
        pushes.arrived(call.query_string(), &body);
    } else {
        pushes.arrived("", &Bytes::new());
    }
    HttpResponse::Ok().content_type("text/plain; charset=UTF-8").body("OK")
}

/// By this page the upstream finds out whose domain it is.
pub(super) async fn token(server: Data<Server>) -> HttpResponse {
    match &server.driver.live().load().upstream.pingback_token {
        Some(token) => HttpResponse::Ok().content_type("text/plain; charset=UTF-8").body(token.clone()),
        None => respond::no_page(INTERFACE),
    }
}
