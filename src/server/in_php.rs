//! in.php: uploads.

use actix_web::http::header::HeaderValue;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::Server;
use super::call::parameters;
use super::peer::hung_up;
use super::respond::Respond;
use crate::metrics::ClientCall;
use crate::protocol::errors::{ErrorCode, Reaction};
use crate::protocol::repeat::{IDEMPOTENCY_KEY, IdempotencyKey};
use crate::protocol::submit::Upload;

pub(super) async fn answer(server: Data<Server>, call: HttpRequest, body: Payload) -> HttpResponse {
    let form = match parameters(server.driver.clock, &call, body).await {
        Ok(form) => form,
        Err((wrong, respond)) => return respond.wrong(wrong),
    };
    let respond = Respond::to(&form);
    let client = match server.clients.find(form.word("key")) {
        Ok(client) => client,
        Err(code) => {
            let from = server.caller(&call);
            return server.wrong_keys.answer(from, "in.php", respond, code).await;
        }
    };
    client.counters.called(ClientCall::Upload);
    if form.word("method") == Some(b"get_server_errors") {
        return respond.page(&upload_errors(), "text/plain; charset=UTF-8");
    }
    let keys = call.headers().get_all(IDEMPOTENCY_KEY).map(HeaderValue::as_bytes);
    let upload = IdempotencyKey::parse(&client.name, keys)
        .and_then(|idempotency_key| Ok(Upload::check(form)?.named(idempotency_key)));
    match server.driver.submit_while(&client, upload, hung_up(&call)).await {
        Ok(id) => respond.accepted(id),
        Err(refusal) => respond.refused(refusal),
    }
}

/// Every code that an upload can be answered with, one a line (protocol.md 1, `get_server_errors`).
fn upload_errors() -> String {
    let is_for_uploads = |code: &&ErrorCode| {
        !matches!(code.reaction(), Reaction::PollAgain | Reaction::EndCaptcha)
            && !matches!(
                code,
                ErrorCode::WrongIdFormat
                    | ErrorCode::EmptyAction
                    | ErrorCode::IpAddress
                    | ErrorCode::ReportNotRecorded
                    | ErrorCode::ErrorReportNotRecorded
                    | ErrorCode::DuplicateReport
            )
    };
    ErrorCode::ALL.iter().filter(is_for_uploads).map(|code| code.as_str()).collect::<Vec<_>>().join("\n")
}
