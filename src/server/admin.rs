//! For operators: metrics, health, readiness.

use actix_web::http::header::ORIGIN;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::Server;
use crate::engine::refusal::Why;

pub(super) async fn metrics(server: Data<Server>) -> HttpResponse {
    server.driver.gate.publish();
    match server.metrics.text() {
        Ok(text) => HttpResponse::Ok().content_type(prometheus::TEXT_FORMAT).body(text),
        Err(error) => HttpResponse::InternalServerError().body(format!("metrics: {error}")),
    }
}

/// The process runs and answers.
pub(super) async fn health() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

/// Whether it makes sense to send uploads here: not while the gateway is stopping, the store is down or the upstream
/// refuses our key. Shorter waits (no slot, a block) are shown and pass by themselves.
pub(super) async fn ready(server: Data<Server>) -> HttpResponse {
    let waits = server.driver.gate.waits();
    let store_fault = server.driver.keeper.fault();
    let is_draining = server.driver.is_stopping();
    let is_ready = !is_draining
        && store_fault.is_none()
        && !waits.iter().any(|wait| matches!(wait.why, Why::KeyRefused(_)));
    let waits: Vec<_> = waits
        .iter()
        .map(|wait| {
            let (since, until) = (wait.since.to_string(), wait.until.to_string());
            json!({ "reason": wait.why.label(), "text": wait.why.to_string(), "since": since, "until": until })
        })
        .collect();
    let budgets: Vec<_> = server
        .driver
        .gate
        .budgets()
        .iter()
        .map(|budget| {
            let (rule, until) = (budget.rule.label(), budget.until.to_string());
            json!({ "rule": rule, "limit": budget.limit, "used": budget.used, "left": budget.left, "until": until })
        })
        .collect();
    let store = if store_fault.is_some() { "down" } else { "up" };
    let phase = if is_draining { "draining" } else { "running" };
    let mut state =
        json!({ "ready": is_ready, "state": phase, "store": store, "waits": waits, "budgets": budgets });
    if let Some(fault) = store_fault {
        state["store_fault"] = fault.into();
    }
    let mut reply = if is_ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    reply.json(state)
}

/// An operator says that what was latched (a refused key) is mended.
pub(super) async fn clear_latches(server: Data<Server>, call: HttpRequest) -> HttpResponse {
    // A page in an operator's browser must not be able to do this.
    if call.headers().contains_key(ORIGIN) {
        return HttpResponse::Forbidden().body("not from a web page\n");
    }
    server.driver.gate.clear_latches();
    HttpResponse::Ok().content_type("text/plain").body("cleared: the next call to the upstream is a probe\n")
}

pub(super) async fn nothing_here(call: HttpRequest) -> HttpResponse {
    let text = format!("nothing at {}; the interface is /in.php, /res.php and /load.php\n", call.path());
    HttpResponse::NotFound().content_type("text/plain; charset=UTF-8").body(text)
}
