//! Replies to clients.

use bytes::{BufMut, Bytes, BytesMut};

use crate::protocol::answer::{Answer, Solution};
use crate::protocol::errors::Code;
use crate::protocol::ids::CaptchaId;

/// The two forms of a v1 reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Plain,
    Json,
}

/// Writes `OK|id`.
#[must_use]
pub fn write_accepted(id: CaptchaId, form: Form) -> Bytes {
    match form {
        Form::Plain => format!("OK|{id}").into(),
        Form::Json => format!("{{\"status\":1,\"request\":\"{id}\"}}").into(),
    }
}

/// Writes a code; `text` says why, to those who read JSON.
#[must_use]
pub fn write_code(code: &Code, text: Option<&str>, form: Form) -> Bytes {
    match form {
        Form::Plain => match code {
            Code::Known(code) => Bytes::from_static(code.as_str().as_bytes()),
            Code::Unknown(text) => text.clone(),
        },
        Form::Json => {
            let mut body = Json::envelope(false, &code.as_str(), text.map_or(0, str::len));
            if let Some(text) = text {
                body.raw(",\"error_text\":").text(text);
            }
            body.end()
        }
    }
}

/// Writes how a captcha ended, with its price when `with_price` and it is known.
#[must_use]
pub fn write_solution(solution: &Solution, with_price: bool, form: Form) -> Bytes {
    let price = solution.price.as_deref().filter(|_| with_price);
    match (&solution.answer, form) {
        (Answer::Failed(code), form) => write_code(code, None, form),
        (answer, Form::Plain) => {
            let answer = answer.plain();
            let mut body =
                BytesMut::with_capacity(answer.len() + 3 + price.map_or(0, |price| price.len() + 1));
            body.put_slice(b"OK|");
            body.put_slice(&answer);
            if let Some(price) = price {
                body.put_u8(b'|');
                body.put_slice(price.as_bytes());
            }
            body.freeze()
        }
        (answer, Form::Json) => {
            let mut body;
            match answer {
                Answer::Json { request, extras } => {
                    body = Json::begun(true, request.get().len());
                    body.raw(request.get());
                    for (name, value) in extras {
                        body.raw(",").text(name).raw(":").raw(value.get());
                    }
                }
                other => body = Json::envelope(true, &String::from_utf8_lossy(&other.plain()), 0),
            }
            if let Some(price) = price {
                body.raw(",\"price\":").text(price);
            }
            body.end()
        }
    }
}

/// Joins the pieces of an `ids` call: no `OK|`, and in JSON `status` 1 whatever the pieces are (protocol.md 3.3).
#[must_use]
pub fn write_batch(pieces: &[Bytes], form: Form) -> Bytes {
    let joined = pieces.join(&b'|');
    match form {
        Form::Plain => joined.into(),
        Form::Json => write_text(&String::from_utf8_lossy(&joined), Form::Json),
    }
}

/// Writes a text that stands for itself: a balance, `OK_REPORT_RECORDED`.
#[must_use]
pub fn write_text(text: &str, form: Form) -> Bytes {
    match form {
        Form::Plain => text.to_owned().into(),
        Form::Json => Json::envelope(true, text, 0).end(),
    }
}

/// Writes a list: `OK|a|b` or a JSON array (protocol.md 3.1, `get_pingback`).
#[must_use]
pub fn write_list(items: &[String], form: Form) -> Bytes {
    match form {
        Form::Plain => {
            std::iter::once("OK").chain(items.iter().map(String::as_str)).collect::<Vec<_>>().join("|").into()
        }
        Form::Json => format!("{{\"status\":1,\"request\":{}}}", serde_json::Value::from(items)).into(),
    }
}

/// A JSON object that is being written, with room for all of it where nothing has to be escaped.
struct Json(Vec<u8>);

impl Json {
    /// Up to where the value of `request` begins, with room for so many bytes more.
    fn begun(is_ok: bool, room: usize) -> Self {
        let mut body = Self(Vec::with_capacity(64 + room));
        body.raw(if is_ok { "{\"status\":1,\"request\":" } else { "{\"status\":0,\"request\":" });
        body
    }

    /// The same with the text of `request`.
    fn envelope(is_ok: bool, request: &str, room: usize) -> Self {
        let mut body = Self::begun(is_ok, request.len() + room);
        body.text(request);
        body
    }

    fn raw(&mut self, json: &str) -> &mut Self {
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        serde_json::to_writer(&mut self.0, text).expect("memory takes every text");
        self
    }

    fn end(mut self) -> Bytes {
        self.raw("}");
        self.0.into()
    }
}
