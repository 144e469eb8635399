//! What every call to the client listeners goes through: [`at_once`] first, and [`pass`] where that has no reply.
//!
//! A handler that panics harms no other call: what it held is given back, its client is answered in words that every library
//! survives, and the panic is counted. What was said in the panic is told to nobody, for it can hold what a client sent.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use actix_http::Request;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::{ConnectionType, Uri};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};
use bytes::Bytes;
use futures_util::FutureExt;

use super::Server;
use super::connections::Connection;
use super::res_php;
use super::respond::Respond;
use crate::protocol::errors::ErrorCode;
use crate::protocol::form::Form;

/// The reply to a poll that need not wait, before the framework looks for its handler: nearly all calls are such polls, and
/// finding that out costs as much as the answer. None for all other calls.
#[must_use]
pub fn at_once(server: &Server, call: &Request) -> Option<HttpResponse> {
    let connection = call.conn_data::<Arc<Connection>>().filter(|connection| !connection.is_ending())?;
    if server.driver.is_stopping() {
        return None;
    }
    let now = server.driver.clock.now();
    let answer = || res_php::at_once(server, call, now);
    let reply = panic::catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_| {
        server.metrics.call_panicked();
        connection.ends();
        Some(broken(call.uri()))
    })?;
    connection.call_was_answered(now);
    Some(reply)
}

/// Lets a call through to its handler.
///
/// # Errors
/// The handler's own.
pub async fn pass<B: MessageBody + 'static>(
    call: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let connection = call.conn_data::<Arc<Connection>>().filter(|connection| !connection.is_ending());
    let Some(connection) = connection.map(Arc::clone) else {
        // Its connection was refused or has had its last reply, and this call had arrived with those before it.
        let refused = HttpResponse::ServiceUnavailable().force_close().body("the connection is over\n");
        return Ok(call.into_response(refused).map_into_right_body());
    };
    let under_way = connection.call_begins();
    let Some(server) = call.app_data::<Data<Server>>().cloned() else {
        return next.call(call).await.map(ServiceResponse::map_into_left_body);
    };
    let target = call.uri().clone();
    let answered = AssertUnwindSafe(next.call(call)).catch_unwind().await;
    drop(under_way);
    let Ok(reply) = answered else {
        server.metrics.call_panicked();
        return Err(InternalError::from_response("a panic", broken(&target)).into());
    };
    let mut reply = reply?.map_into_left_body();
    if reply.response().head().connection_type() == ConnectionType::Close {
        connection.ends();
    }
    // The client's next call finds whoever listens then.
    if server.driver.is_stopping() {
        reply.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(reply)
}

/// What a client is told whose call broke down. Only its query is known; most calls to res.php are polls.
fn broken(target: &Uri) -> HttpResponse {
    let form = Form::decode(target.query().unwrap_or_default(), &Bytes::new()).unwrap_or_default();
    let respond = Respond::to(&form);
    let may_poll = matches!(form.word("action"), None | Some(b"get" | b"get2"));
    let mut reply = match target.path().trim_matches('/') {
        "res.php" if may_poll => respond.code(ErrorCode::NotReady, WHY),
        "res.php" | "in.php" => respond.code(ErrorCode::NoSlotAvailable, WHY),
        _ => HttpResponse::InternalServerError().body(format!("{WHY}\n")),
    };
    // Of its body nothing more is read.
    reply.head_mut().set_connection_type(ConnectionType::Close);
    reply
}

const WHY: &str = "the call broke down in the gateway; it is counted and in the log";
