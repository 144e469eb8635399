//! What operators do: by POST, with the token (see `guard`).

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde_json::json;

use super::Server;
use super::standings;
use crate::audit::Event;

/// What a refused key has latched is mended.
pub(super) async fn clear_latches(server: Data<Server>, call: HttpRequest) -> HttpResponse {
    server.driver.gate.clear_latches();
    let is_kept = server.driver.gate.keep().await.is_ok();
    note(&server, &call, "clear_latches", None, if is_kept { "done" } else { "not_kept" });
    done_and_kept("cleared: the next call to the upstream is a probe", is_kept)
}

/// What was given up shall be tried again.
pub(super) async fn retry_pingbacks(server: Data<Server>, call: HttpRequest) -> HttpResponse {
    let revived = server.driver.callbacks.revive().await;
    note(&server, &call, "retry_pingbacks", None, if revived.is_ok() { "done" } else { "failed" });
    match revived {
        Ok(count) => done(&format!("{count} are tried again")),
        Err(error) => text(HttpResponse::ServiceUnavailable(), &error.to_string()),
    }
}

/// The same as SIGTERM.
pub(super) async fn drain(server: Data<Server>, call: HttpRequest) -> HttpResponse {
    tracing::warn!("an operator ends the gateway: calls under way may end");
    note(&server, &call, "drain", None, "done");
    server.told_to_stop.cancel();
    text(HttpResponse::Accepted(), "calls under way may end; then the gateway does")
}

/// A client uploads nothing more.
pub(super) async fn stop(server: Data<Server>, call: HttpRequest, client: Path<String>) -> HttpResponse {
    set_stopped(&server, &call, &client, true).await
}

/// A client that an operator stopped may go on.
pub(super) async fn resume(server: Data<Server>, call: HttpRequest, client: Path<String>) -> HttpResponse {
    set_stopped(&server, &call, &client, false).await
}

async fn set_stopped(server: &Server, call: &HttpRequest, name: &str, is_stopped: bool) -> HttpResponse {
    let action = if is_stopped { "stop" } else { "resume" };
    // One that was stopped may have left the settings since; it must not stay stopped for ever.
    let Some(client) = server.clients.named(name) else {
        let known = server.driver.stops.has(name) && !is_stopped;
        if known {
            server.driver.stops.set(name, false).await;
        }
        // A name that nobody has can be anything; it is not written down.
        note(server, call, action, known.then_some(name), if known { "done" } else { "no_client" });
        let reply = if known { HttpResponse::Ok() } else { HttpResponse::NotFound() };
        return text(reply, "no client in the settings has this name");
    };
    let is_kept = server.driver.stops.set(&client.name, is_stopped).await;
    tracing::warn!(client = %client.name, is_stopped, "an operator stopped a client, or let it go on");
    note(server, call, action, Some(&client.name), if is_kept { "done" } else { "not_kept" });
    let what = match client.policy.may_call(server.driver.clock.now()) {
        _ if is_stopped => format!("{name} is stopped: it may poll and report what it has uploaded"),
        Ok(()) => format!("{name} may upload"),
        Err(denied) => return text(HttpResponse::Conflict(), &format!("by the settings {denied}")),
    };
    done_and_kept(&what, is_kept)
}

/// Writes down what an operator did, and from where.
fn note(
    server: &Server,
    call: &HttpRequest,
    action: &'static str,
    client: Option<&str>,
    outcome: &'static str,
) {
    let from = call.peer_addr().map(|peer| peer.ip().to_canonical());
    let client = client.map(str::to_owned);
    server.driver.audit.note(|| Event::Operator { action, client, outcome, from });
}

/// The clients, and what each may do and spend at present.
pub(super) async fn clients(server: Data<Server>) -> HttpResponse {
    let clients: Vec<_> = standings::of_all(&server)
        .iter()
        .map(|(client, open, left)| {
            let budgets: Vec<_> = left
                .iter()
                .map(|left| {
                    let (limit, rest) =
                        (left.limit.normalize().to_string(), left.left.normalize().to_string());
                    let (setting, until) = (left.quota.rule().label(), left.until.to_string());
                    json!({ "setting": setting, "limit": limit, "left": rest, "until": until })
                })
                .collect();
            let denied = server.driver.may_call(client).err().map(|denied| denied.rule().label());
            let by_operator = server.driver.stops.has(&client.name);
            json!({
                "name": &*client.name, "may_upload": denied.is_none(), "why_not": denied,
                "stopped_by_operator": by_operator, "open": open, "max_open": client.allowance.open,
                "budgets": budgets,
            })
        })
        .collect();
    HttpResponse::Ok().json(json!({ "clients": clients }))
}

fn done_and_kept(what: &str, is_kept: bool) -> HttpResponse {
    if is_kept {
        done(what)
    } else {
        done(&format!("{what}. The store is down: a restart before it takes changes forgets this"))
    }
}

fn done(what: &str) -> HttpResponse {
    text(HttpResponse::Ok(), what)
}

fn text(mut reply: HttpResponseBuilder, what: &str) -> HttpResponse {
    reply.content_type("text/plain; charset=UTF-8").body(format!("{what}\n"))
}
