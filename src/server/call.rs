//! A client's call as it arrives: its parameters, and how its sender wants to be told.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use actix_web::rt::time::timeout;
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::connections::{BodyRoom, Connection, NoRoom};
use super::respond::Respond;
use crate::protocol::errors::ErrorCode;
use crate::protocol::form::{Form, FormError};
use crate::protocol::reply;
use crate::protocol::submit::WrongCall;

/// Largest body of a client's call, bytes: nine rotate images of 600 kB as base64 in a form (protocol.md 1.1).
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long a client may take to send a body.
pub const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Why a body was not taken.
#[derive(Debug, thiserror::Error)]
enum WrongBody {
    #[error("the body is compressed ({0}); send it as it is")]
    Compressed(String),
    #[error("the body is larger than {BODY_BYTES_MAX} bytes")]
    TooBig,
    #[error("the body did not arrive within {BODY_WITHIN:?}")]
    TooSlow,
    #[error("too many bodies are being read at once; send it again")]
    NoRoom,
    #[error("the body did not arrive: {0}")]
    Broken(PayloadError),
}

impl WrongBody {
    const fn code(&self) -> ErrorCode {
        match self {
            Self::Compressed(_) | Self::TooSlow | Self::Broken(_) => ErrorCode::Upload,
            Self::TooBig => ErrorCode::TooBigCaptchaFilesize,
            Self::NoRoom => ErrorCode::NoSlotAvailable,
        }
    }
}

/// Reads a call's parameters from query and body. The second part of an error says how to tell it.
pub(super) async fn parameters(call: &HttpRequest, body: Payload) -> Result<Form, (WrongCall, Respond)> {
    // The query alone says in which form a client wants to hear of a body that cannot be read.
    let told_in = || Respond::to(&Form::decode(call.query_string(), &Bytes::new()).unwrap_or_default());
    let wrong = |code, reason: String| (WrongCall::new(code, reason), told_in());
    let mut room = call.conn_data::<Arc<Connection>>().map(Connection::body);
    let whole = timeout(BODY_WITHIN, whole(call, body, room.as_mut())).await;
    let body = whole.unwrap_or(Err(WrongBody::TooSlow));
    let body = body.map_err(|error| wrong(error.code(), error.to_string()))?;
    Form::decode(call.query_string(), &body).map_err(|error| {
        let code = match error {
            FormError::Json(_) | FormError::Multipart(_) => ErrorCode::Upload,
            FormError::TooManyParameters | FormError::NameTooLong => ErrorCode::BadParameters,
        };
        wrong(code, error.to_string())
    })
}

/// The whole body. What is too large by its own announcement is not read at all, and nothing is ever unpacked: a few bytes
/// could become any number.
async fn whole(
    call: &HttpRequest,
    mut body: Payload,
    mut room: Option<&mut BodyRoom>,
) -> Result<Bytes, WrongBody> {
    let header = |name| call.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    if let Some(encoding) =
        header(CONTENT_ENCODING).filter(|name| !name.trim().eq_ignore_ascii_case("identity"))
    {
        return Err(WrongBody::Compressed(encoding.into_owned()));
    }
    let announced = header(CONTENT_LENGTH).and_then(|length| length.trim().parse::<u64>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX as u64) {
        return Err(WrongBody::TooBig);
    }
    let (mut only, mut bytes) = (Bytes::new(), BytesMut::new());
    while let Some(part) = body.next().await {
        let part = part.map_err(WrongBody::Broken)?;
        if only.len() + bytes.len() + part.len() > BODY_BYTES_MAX {
            return Err(WrongBody::TooBig);
        }
        if let Some(room) = &mut room {
            room.take(part.len()).map_err(|NoRoom| WrongBody::NoRoom)?;
        }
        if only.is_empty() && bytes.is_empty() {
            only = part;
        } else {
            bytes.extend_from_slice(&std::mem::take(&mut only));
            bytes.extend_from_slice(&part);
        }
    }
    Ok(if bytes.is_empty() { only } else { bytes.freeze() })
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
