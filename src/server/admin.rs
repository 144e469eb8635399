//! For operators: metrics, health, readiness.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::Server;
use super::respond;
use super::standings;
use super::status::{self, State, Status};

pub(super) async fn metrics(server: Data<Server>) -> HttpResponse {
    server.driver.gate.publish();
    server.driver.poller.publish();
    standings::publish(&server);
    server.metrics.tasks_panicked(server.driver.panics());
    match server.metrics.text() {
        Ok(text) => HttpResponse::Ok().content_type(prometheus::TEXT_FORMAT).body(text),
        Err(error) => HttpResponse::InternalServerError().body(format!("metrics: {error}")),
    }
}

/// The process runs and answers.
pub(super) async fn health() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

/// Whether it makes sense to send uploads here, with what is waited for and what is left of the budgets.
pub(super) async fn ready(server: Data<Server>) -> HttpResponse {
    let status = status::status(&server);
    let mut reply = if status.ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    let phase = if status.state.name == State::Draining { "draining" } else { "running" };
    let Status { ready, store, store_fault, waits, budgets, .. } = status;
    let mut shown =
        json!({ "ready": ready, "state": phase, "store": store, "waits": waits, "budgets": budgets });
    if let Some(fault) = store_fault {
        shown["store_fault"] = fault.into();
    }
    reply.json(shown)
}

/// Outcomes on their way to clients' receivers, and those that were given up, newest first.
pub(super) async fn pingbacks(server: Data<Server>) -> HttpResponse {
    let (wanted, due) = server.driver.callbacks.counts();
    let dead: Vec<_> = server
        .driver
        .callbacks
        .dead_letters()
        .iter()
        .map(|letter| {
            let (since, at) = (letter.since.to_string(), letter.dead.at.to_string());
            // Not the whole address: what is in it is the client's.
            json!({
                "captcha": letter.id.to_string(), "client": &*letter.client, "receiver": letter.target.receiver(),
                "known_since": since, "given_up_at": at, "why": letter.dead.why,
            })
        })
        .collect();
    HttpResponse::Ok().json(json!({ "wanted": wanted, "due": due, "dead": dead }))
}

pub(super) async fn nothing_here() -> HttpResponse {
    respond::no_page("what there is can be reached from /")
}

/// A path that there is, called with a method that it has not.
pub(super) async fn another_method(call: HttpRequest) -> HttpResponse {
    let text = format!("this is not called with {}\n", call.method());
    HttpResponse::MethodNotAllowed().content_type("text/plain; charset=UTF-8").body(text)
}
