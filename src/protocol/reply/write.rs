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
        Form::Plain => Bytes::copy_from_slice(code.as_bytes()),
        Form::Json => {
            let mut body = envelope_start(false, &code.as_str());
            if let Some(text) = text {
                body.push_str(",\"error_text\":");
                body.push_str(&json_string(text));
            }
            body.push('}');
            body.into()
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
            let mut body = BytesMut::with_capacity(answer.len() + 16);
            body.put_slice(b"OK|");
            body.put_slice(&answer);
            if let Some(price) = price {
                body.put_u8(b'|');
                body.put_slice(price.as_bytes());
            }
            body.freeze()
        }
        (answer, Form::Json) => {
            let mut body = String::from("{\"status\":1,\"request\":");
            match answer {
                Answer::Json { request, extras } => {
                    body.push_str(request.get());
                    for (name, value) in extras {
                        body.push(',');
                        body.push_str(&json_string(name));
                        body.push(':');
                        body.push_str(value.get());
                    }
                }
                other => body.push_str(&json_string(&String::from_utf8_lossy(&other.plain()))),
            }
            if let Some(price) = price {
                body.push_str(",\"price\":");
                body.push_str(&json_string(price));
            }
            body.push('}');
            body.into()
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
        Form::Json => (envelope_start(true, text) + "}").into(),
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

fn envelope_start(is_ok: bool, request: &str) -> String {
    format!("{{\"status\":{},\"request\":{}", u8::from(is_ok), json_string(request))
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
