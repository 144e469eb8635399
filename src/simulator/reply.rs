//! What the simulated upstream says, and how that looks on the wire: plain, JSON, or spoilt by a fault.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;

use super::answers::quoted;
use super::faults::{FaultKind, UNKNOWN_CODE};
use super::random::Random;
use super::values::Span;
use crate::protocol::{ErrorCode, Form};

const PLAIN: &str = "text/html; charset=UTF-8";
const JSON: &str = "application/json; charset=UTF-8";
const XML: &str = "text/xml; charset=UTF-8";

/// A reply, and what the server does with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status; 200 for every call that was carried out (protocol.md 1).
    pub status: u16,
    pub content_type: &'static str,
    /// Adds `Access-Control-Allow-Origin: *`.
    pub header_acao: bool,
    pub body: Bytes,
    pub fault: Option<Fault>,
}

/// What happens to a reply on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is sent this much later.
    Delay(Duration),
    /// It is never sent; the connection stays open.
    Hang,
    /// The connection ends without a byte of it.
    Reset,
    /// The connection ends after this many bytes of the body, which was announced in full.
    CutAfter(usize),
    /// Its body is sent over and over.
    Endless,
}

/// What a call is answered with, before its form decides between plain and JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    Code(ErrorCode),
    UnknownCode,
    /// Status 1: the plain body, the JSON text of `request`, and further members as JSON text.
    Value {
        plain: String,
        request: String,
        extras: String,
    },
    Xml(String),
    /// Text in both forms.
    Text(String),
}

impl Say {
    /// A text that is the same in both forms.
    pub fn word(text: &str) -> Self {
        Self::value(text.to_owned(), quoted(text))
    }

    pub fn value(plain: String, request: String) -> Self {
        Self::Value { plain, request, extras: String::new() }
    }

    /// The reply in the form that the call asked for.
    pub fn render(self, form: &Form) -> Reply {
        let is_json = form.is_on("json");
        let (content_type, body) = match self {
            Self::UnknownCode if is_json => (JSON, format!(r#"{{"status":0,"request":"{UNKNOWN_CODE}"}}"#)),
            Self::UnknownCode => (PLAIN, UNKNOWN_CODE.to_owned()),
            Self::Code(code) if is_json => (JSON, refusal(code)),
            Self::Code(code) => (PLAIN, code.as_str().to_owned()),
            Self::Value { request, extras, .. } if is_json => {
                (JSON, format!(r#"{{"status":1,"request":{request}{extras}}}"#))
            }
            Self::Value { plain, .. } | Self::Text(plain) => (PLAIN, plain),
            Self::Xml(document) => (XML, document),
        };
        Reply {
            status: 200,
            content_type,
            header_acao: form.is_on("header_acao"),
            body: if form.is_on("debug_dump") { dump(form) + &body } else { body }.into(),
            fault: None,
        }
    }
}

/// `error_text` comes with real errors only, as some replies show it (protocol.md 2.1).
fn refusal(code: ErrorCode) -> String {
    let text = match code {
        ErrorCode::NotReady => String::new(),
        other => format!(r#","error_text":{}"#, quoted(other.help())),
    };
    format!(r#"{{"status":0,"request":{}{text}}}"#, quoted(code.as_str()))
}

/// The PHP-like dump of everything that was sent, the key included: whoever lets `debug_dump` through leaks it.
fn dump(form: &Form) -> String {
    let mut text = String::from("Array\n(\n");
    for field in form.fields() {
        let value = String::from_utf8_lossy(&field.value);
        let shown: String = value.chars().take(100).collect();
        let _ = writeln!(text, "    [{}] => {shown}", field.name);
    }
    text + ")\n"
}

impl Reply {
    /// The reply as the fault leaves it.
    #[must_use]
    pub fn spoilt_by(mut self, kind: FaultKind, slow: Span, random: &mut Random) -> Self {
        if let Some((status, title)) = kind.page() {
            self.status = status;
            self.content_type = PLAIN;
            self.body = page(title).into();
            return self;
        }
        match kind {
            FaultKind::Hang => self.fault = Some(Fault::Hang),
            FaultKind::ResetBefore | FaultKind::ResetAfter => self.fault = Some(Fault::Reset),
            FaultKind::Slow => self.fault = Some(Fault::Delay(slow.draw(random))),
            FaultKind::Truncated => self.fault = Some(Fault::CutAfter(self.body.len() / 2)),
            FaultKind::Empty => self.body = Bytes::new(),
            FaultKind::Garbage => {
                let words = 1 + random.below(32);
                self.body = (0..words).flat_map(|_| random.number().to_le_bytes()).collect();
            }
            FaultKind::Endless => {
                self.body = vec![b'x'; 64 * 1024].into();
                self.fault = Some(Fault::Endless);
            }
            _ => {}
        }
        self
    }
}

fn page(title: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html>\n<head><title>{title}</title></head>\n\
         <body><center><h1>{title}</h1></center><hr><center>simulator</center></body>\n</html>\n"
    )
}
