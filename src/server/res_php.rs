//! res.php: answers, balance, statistics, reports and pingback addresses.

use std::sync::Arc;

use actix_http::Request;
use actix_web::http::Method;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;

use super::Server;
use super::call::{parameters, query};
use super::peer::hung_up;
use super::respond::{self, Respond};
use crate::clients::Client;
use crate::clock::Timestamp;
use crate::driver::Wait;
use crate::driver::account::Question;
use crate::driver::answers::Found;
use crate::metrics::{ClientCall, PollOutcome, Served};
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::CaptchaId;
use crate::protocol::poll::ResCall;
use crate::protocol::query::Parameters;
use crate::protocol::submit::WrongCall;

/// A call as far as its parameters tell of it.
struct Asked {
    respond: Respond,
    client: Result<Arc<Client>, ErrorCode>,
    res_call: Result<ResCall, WrongCall>,
}

impl Asked {
    fn by(parameters: &impl Parameters, server: &Server) -> Self {
        Self {
            respond: Respond::to(parameters),
            client: server.clients.find(parameters.word("key").as_deref()),
            res_call: ResCall::parse(parameters),
        }
    }
}

/// The reply to a poll that need not wait; none for every other call, which [`answer`] takes.
pub(super) fn at_once(server: &Server, call: &Request, now: Timestamp) -> Option<HttpResponse> {
    if call.method() != Method::GET || call.path() != "/res.php" {
        return None;
    }
    let Asked { respond, client, res_call } = Asked::by(&query(call.head())?, server);
    let (client, Ok(ResCall::Get { id, with_price, wait: None })) = (client.ok()?, res_call) else {
        return None;
    };
    let found = server.driver.find_at_once(&client, id, with_price, now)?;
    client.counters.called(ClientCall::Poll);
    client.counters.polled(outcome(&found), Served::AtOnce);
    Some(respond.found(&found, with_price))
}

pub(super) async fn answer(server: Data<Server>, call: HttpRequest, body: Payload) -> HttpResponse {
    let asked = match query(call.head()) {
        Some(query) => Asked::by(&query, &server),
        None => match parameters(server.driver.clock, &call, body).await {
            Ok(form) => Asked::by(&form, &server),
            Err((wrong, respond)) => return respond.wrong(wrong),
        },
    };
    let Asked { respond, client, res_call } = asked;
    let client = match client {
        Ok(client) => client,
        Err(code) => {
            let from = server.caller(&call);
            return server.wrong_keys.answer(from, "res.php", respond, code).await;
        }
    };
    let driver = &server.driver;
    client.counters.called(res_call.as_ref().map_or(ClientCall::Wrong, kind));
    // What was paid for is told whatever becomes of the client; the rest costs calls or places.
    if res_call.as_ref().is_ok_and(|res_call| !is_about_captchas(res_call))
        && let Err(denied) = driver.may_call(&client)
    {
        driver.denied(&client, &denied);
        return respond.denied(&denied);
    }
    match res_call {
        Err(wrong) => {
            if matches!(wrong.code, ErrorCode::WrongIdFormat | ErrorCode::WrongCaptchaId) {
                client.counters.polled(PollOutcome::WrongId, Served::AtOnce);
            }
            respond.wrong(wrong)
        }
        Ok(ResCall::Get { id, with_price, wait }) => {
            let wait = wait.map_or(Wait::Hold, Wait::Asked);
            let (found, how) = driver.wait_for(&client, id, with_price, wait, &hung_up(&call)).await;
            client.counters.polled(outcome(&found), how);
            respond.found(&found, with_price)
        }
        Ok(ResCall::GetMany { ids, wait }) => {
            let mut how = Served::AtOnce;
            if let Some(longest) = wait {
                let known: Vec<_> = ids.iter().copied().filter_map(Result::ok).collect();
                how = driver.wait_for_any(&client, &known, longest, &hung_up(&call)).await;
            }
            let pieces: Vec<Bytes> = ids.into_iter().map(|id| piece(&server, &client, id, how)).collect();
            respond.batch(&pieces)
        }
        Ok(ResCall::Report { id, verdict }) => match driver.reports.report(&client.name, id, verdict).await {
            Ok(()) => respond.text("OK_REPORT_RECORDED"),
            Err(failure) => respond.not_reported(failure),
        },
        Ok(ResCall::Balance) => {
            let reply = match driver.allowances.balance(&client) {
                Some(left) => respond.text(&left),
                None => match driver.account.ask(Question::Balance).await {
                    Ok(balance) => respond.text(&balance),
                    Err(failure) => respond.no_answer(failure),
                },
            };
            respond::with_budgets(reply, &driver.allowances.left(&client))
        }
        Ok(ResCall::Stats { date }) => {
            match driver.account.ask_for(&client.name, Question::Stats(date)).await {
                Ok(page) => respond.page(&page, "text/xml; charset=UTF-8"),
                Err(failure) => respond.no_answer(failure),
            }
        }
        Ok(ResCall::ListPingbacks) => respond.list(&driver.pingbacks.list(&client.name)),
        Ok(ResCall::AddPingback { host }) => {
            let from = server.caller(&call);
            recorded(respond, driver.pingbacks.add(&client.name, host, from).await)
        }
        Ok(ResCall::RemovePingback { host }) => {
            recorded(respond, driver.pingbacks.remove(&client.name, &host).await)
        }
        Ok(ResCall::RemoveAllPingbacks) => recorded(respond, driver.pingbacks.clear(&client.name).await),
    }
}

const fn kind(call: &ResCall) -> ClientCall {
    match call {
        ResCall::Get { .. } => ClientCall::Poll,
        ResCall::GetMany { .. } => ClientCall::PollMany,
        ResCall::Report { .. } => ClientCall::Report,
        ResCall::Balance => ClientCall::Balance,
        ResCall::Stats { .. } => ClientCall::Stats,
        ResCall::ListPingbacks
        | ResCall::AddPingback { .. }
        | ResCall::RemovePingback { .. }
        | ResCall::RemoveAllPingbacks => ClientCall::Pingback,
    }
}

const fn is_about_captchas(call: &ResCall) -> bool {
    matches!(call, ResCall::Get { .. } | ResCall::GetMany { .. } | ResCall::Report { .. })
}

fn recorded(respond: Respond, result: Result<(), crate::driver::pingbacks::NotRegistered>) -> HttpResponse {
    match result {
        Ok(()) => respond.text("OK"),
        Err(failure) => respond.not_registered(failure),
    }
}

/// One id's place in the reply to an `ids` call.
fn piece(server: &Server, client: &Client, id: Result<CaptchaId, ErrorCode>, how: Served) -> Bytes {
    let found = match id {
        Ok(id) => server.driver.find(client, id, false),
        Err(code) => {
            client.counters.polled(PollOutcome::WrongId, how);
            return code.as_str().into();
        }
    };
    client.counters.polled(outcome(&found), how);
    match found {
        Found::Solved(solution) => solution.answer.plain(),
        Found::Nothing => ErrorCode::WrongCaptchaId.as_str().into(),
        Found::NotReady | Found::PriceMissing { .. } => ErrorCode::NotReady.as_str().into(),
    }
}

fn outcome(found: &Found) -> PollOutcome {
    match found {
        Found::Nothing => PollOutcome::WrongId,
        Found::NotReady | Found::PriceMissing { .. } => PollOutcome::NotReady,
        Found::Solved(solution) if solution.answer.is_failed() => PollOutcome::Failed,
        Found::Solved(_) => PollOutcome::Answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, B, C, F: Future>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn what_a_held_poll_keeps_of_a_call_is_little_more_than_a_kilobyte() {
        let size = size_of_future(answer);
        println!("{size} bytes");
        assert!(size <= 1_536, "{size}");
    }
}
