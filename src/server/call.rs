//! A client's call as it arrives: its parameters, and how its sender wants to be told.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::rt::time::timeout;
use actix_web::web::Payload;
use bytes::Bytes;

use super::respond::Respond;
use crate::protocol::errors::ErrorCode;
use crate::protocol::form::{Form, FormError};
use crate::protocol::reply;
use crate::protocol::submit::WrongCall;

/// Largest body of a client's call, bytes: nine rotate images of 600 kB as base64 in a form (protocol.md 1.1).
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long a client may take to send a body.
pub const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Reads a call's parameters from query and body. The second part of an error says how to tell it.
pub(super) async fn parameters(call: &HttpRequest, body: Payload) -> Result<Form, (WrongCall, Respond)> {
    // The query alone says in which form a client wants to hear of a body that cannot be read.
    let told_in = || Respond::to(&Form::decode(call.query_string(), &Bytes::new()).unwrap_or_default());
    let wrong = |code, reason: String| (WrongCall::new(code, reason), told_in());
    let body = match timeout(BODY_WITHIN, body.to_bytes_limited(BODY_BYTES_MAX)).await {
        Err(_) => {
            return Err(wrong(ErrorCode::Upload, format!("the body did not arrive within {BODY_WITHIN:?}")));
        }
        Ok(Ok(Ok(body))) => body,
        Ok(Ok(Err(error))) => {
            return Err(wrong(ErrorCode::Upload, format!("the body did not arrive: {error}")));
        }
        Ok(Err(_)) => {
            let reason = format!("the body is larger than {BODY_BYTES_MAX} bytes");
            return Err(wrong(ErrorCode::TooBigCaptchaFilesize, reason));
        }
    };
    Form::decode(call.query_string(), &body).map_err(|error| {
        let code = match error {
            FormError::Json(_) | FormError::Multipart(_) => ErrorCode::Upload,
            FormError::TooManyParameters => ErrorCode::BadParameters,
        };
        wrong(code, error.to_string())
    })
}

impl Respond {
    /// How the sender of `form` wants to be told.
    pub(super) fn to(form: &Form) -> Self {
        let wants_json = form.is_on("json");
        Self {
            form: if wants_json { reply::Form::Json } else { reply::Form::Plain },
            allows_any_origin: form.is_on("header_acao"),
        }
    }
}
