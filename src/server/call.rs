//! A client's call as it arrives: its parameters, and how its sender wants to be told.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::RequestHead;
use actix_web::error::PayloadError;
use actix_web::http::Version;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use super::connections::{BodyRoom, Connection, NoRoom};
use super::respond::Respond;
use crate::clock::Clock;
use crate::protocol::errors::ErrorCode;
use crate::protocol::form::{Form, FormError};
use crate::protocol::query::{Parameters, Query};
use crate::protocol::reply;
use crate::protocol::submit::WrongCall;

/// Largest body of a client's call, bytes: nine rotate images of 600 kB as base64 in a form (protocol.md 1.1).
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long a client may take to send a body.
pub const BODY_WITHIN: Duration = Duration::from_secs(30);
/// How far a body may lag behind [`BODY_BYTES_PER_SECOND_MIN`], all its pauses together.
pub const BODY_SLOW_FOR: Duration = Duration::from_secs(5);
/// How fast a body has to come, counted from its beginning: a modem's pace. Whoever sends a byte now and then holds a place
/// and brings nothing.
pub const BODY_BYTES_PER_SECOND_MIN: u64 = 4 * 1024;

/// Why a body was not taken.
#[derive(Debug, thiserror::Error)]
enum WrongBody {
    #[error("the body is compressed ({0}); send it as it is")]
    Compressed(String),
    #[error("the body is larger than {BODY_BYTES_MAX} bytes")]
    TooBig,
    #[error("the body did not arrive within {BODY_WITHIN:?}")]
    TooLate,
    #[error("the body came slower than {BODY_BYTES_PER_SECOND_MIN} bytes a second")]
    TooSlow,
    #[error("too many bodies are being read at once; send it again")]
    NoRoom,
    #[error("the body did not arrive: {0}")]
    Broken(PayloadError),
}

impl WrongBody {
    const fn code(&self) -> ErrorCode {
        match self {
            Self::Compressed(_) | Self::TooLate | Self::TooSlow | Self::Broken(_) => ErrorCode::Upload,
            Self::TooBig => ErrorCode::TooBigCaptchaFilesize,
            Self::NoRoom => ErrorCode::NoSlotAvailable,
        }
    }
}

/// Reads a call's parameters from query and body. The second part of an error says how to tell it.
pub(super) async fn parameters(
    clock: Clock,
    call: &HttpRequest,
    body: Payload,
) -> Result<Form, (WrongCall, Respond)> {
    // The query alone says in which form a client wants to hear of a body that cannot be read.
    let told_in = || Respond::to(&Form::decode(call.query_string(), &Bytes::new()).unwrap_or_default());
    let wrong = |code, reason: String| (WrongCall::new(code, reason), told_in());
    let mut room = call.conn_data::<Arc<Connection>>().map(Connection::body);
    let body = match refused_unread(call) {
        Some(refused) => Err(refused),
        None => whole(clock, body, room.as_mut()).await,
    };
    let body = body.map_err(|error| wrong(error.code(), error.to_string()))?;
    Form::decode(call.query_string(), &body).map_err(|error| {
        let code = match error {
            FormError::Json(_) | FormError::Multipart(_) => ErrorCode::Upload,
            FormError::TooManyParameters | FormError::NameTooLong => ErrorCode::BadParameters,
        };
        wrong(code, error.to_string())
    })
}

/// What is too large by its own announcement is not read at all, and nothing is ever unpacked: a few bytes could become any
/// number.
fn refused_unread(call: &HttpRequest) -> Option<WrongBody> {
    let header = |name| call.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    if let Some(encoding) =
        header(CONTENT_ENCODING).filter(|name| !name.trim().eq_ignore_ascii_case("identity"))
    {
        return Some(WrongBody::Compressed(encoding.into_owned()));
    }
    let announced = header(CONTENT_LENGTH).and_then(|length| length.trim().parse::<u64>().ok());
    announced.is_some_and(|length| length > BODY_BYTES_MAX as u64).then_some(WrongBody::TooBig)
}

/// The whole body, as long as it comes fast enough.
async fn whole(
    clock: Clock,
    mut body: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin,
    mut room: Option<&mut BodyRoom>,
) -> Result<Bytes, WrongBody> {
    let (mut only, mut bytes) = (Bytes::new(), BytesMut::new());
    let began = clock.now();
    loop {
        let received = (only.len() + bytes.len()) as u64;
        let at_pace = Duration::from_millis(received * 1_000 / BODY_BYTES_PER_SECOND_MIN);
        let (slow_at, late_at) = (began + BODY_SLOW_FOR + at_pace, began + BODY_WITHIN);
        let part = tokio::select! {
            biased;
            part = body.next() => part,
            () = clock.sleep_until(slow_at.min(late_at)) => {
                return Err(if slow_at < late_at { WrongBody::TooSlow } else { WrongBody::TooLate });
            }
        };
        let Some(part) = part else { break };
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

/// The parameters of a call that comes without a body, where they can be read in place.
pub(super) fn query(call: &RequestHead) -> Option<Query<'_>> {
    // Later versions need no header to announce a body.
    let announces = |name| call.headers.contains_key(name);
    let has_body = call.version > Version::HTTP_11
        || [CONTENT_LENGTH, TRANSFER_ENCODING, CONTENT_ENCODING].into_iter().any(announces);
    if has_body { None } else { Query::in_place(call.uri.query().unwrap_or_default()) }
}

impl Respond {
    /// How the sender of these parameters wants to be told.
    pub(super) fn to(parameters: &impl Parameters) -> Self {
        let wants_json = parameters.is_on("json");
        Self {
            form: if wants_json { reply::Form::Json } else { reply::Form::Plain },
            allows_any_origin: parameters.is_on("header_acao"),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream::unfold;

    use super::*;
    use crate::clock::Timestamp;

    /// A body whose parts come at these moments, in milliseconds from its beginning, with so many bytes.
    async fn read(parts: Vec<(u64, usize)>) -> Result<usize, WrongBody> {
        let clock = Clock::starting_at(Timestamp(0));
        let body = unfold(parts.into_iter(), move |mut parts| async move {
            let (at, bytes) = parts.next()?;
            clock.sleep_until(Timestamp(at)).await;
            Some((Ok(Bytes::from(vec![b'a'; bytes])), parts))
        });
        whole(clock, Box::pin(body), None).await.map(|body| body.len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_just_fast_enough_is_taken_and_one_a_moment_later_is_not() {
        // 2,048 bytes are half a second's.
        assert_eq!(read(vec![(5_000, 2_048), (5_500, 1)]).await.unwrap(), 2_049);
        assert!(matches!(read(vec![(5_001, 2_048)]).await, Err(WrongBody::TooSlow)));
        assert!(matches!(read(vec![(5_000, 2_048), (5_501, 1)]).await, Err(WrongBody::TooSlow)));
        let dripping = (0..30).map(|second| (second * 1_000, 1)).collect();
        assert!(matches!(read(dripping).await, Err(WrongBody::TooSlow)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_fast_enough_has_half_a_minute_and_no_more() {
        let parts = |last: u64| (0..30).map(|second| (second * 1_000, 8_192)).chain([(last, 1)]).collect();
        assert!(read(parts(30_000)).await.is_ok());
        assert!(matches!(read(parts(30_001)).await, Err(WrongBody::TooLate)));
    }
}
