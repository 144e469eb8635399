//! The upstream's replies.
//!
//! A reply that is neither an answer nor a code (an HTML page, an empty body, half a body) is `Garbage`: it says
//! nothing, reaches no client, and is a reason to ask again (protocol.md 7, trap 11).

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::protocol::answer::{Answer, Solution};
use crate::protocol::errors::{Code, ErrorCode};
use crate::protocol::ids::CaptchaId;
use crate::protocol::json::JsonObject;

/// Most bytes of a reply that are read; an answer has a few kB, a batch of 100 tokens 200 kB.
pub const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest answer that is taken for one, bytes: tokens have up to 10,000. A longer one is garbage, for each is kept for as
/// long as its captcha.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// What in.php said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadReply {
    Accepted(CaptchaId),
    /// Not taken, and why; `text` is the upstream's own explanation.
    Refused {
        code: Code,
        text: Option<String>,
    },
    /// The upload may have been taken and paid for.
    Garbage,
}

/// What one look at one captcha showed.
#[derive(Clone, Debug)]
pub enum Look {
    NotReady,
    Solved(Solution),
    /// A code other than `CAPCHA_NOT_READY`, of the captcha or of the account.
    Code(Code),
    Garbage,
}

/// What a look at several captchas showed.
#[derive(Clone, Debug)]
pub enum Batch {
    /// One piece for each id, in the order of the ids.
    Pieces(Vec<Look>),
    /// One code for the whole call.
    Account(Code),
    /// Pieces, but not as many as ids, or no text: nobody knows which is whose.
    Mismatch {
        pieces: usize,
    },
    Garbage,
}

/// A JSON reply, taken apart.
struct Envelope<'a> {
    is_ok: bool,
    request: &'a RawValue,
    extras: Vec<(String, &'a RawValue)>,
}

impl<'a> Envelope<'a> {
    fn parse(body: &'a str) -> Option<Self> {
        let object = JsonObject::parse(body).ok()?;
        let (mut status, mut request, mut extras) = (None, None, Vec::new());
        for (name, value) in object.0 {
            match name.as_str() {
                "status" => status = Some(value),
                "request" => request = Some(value),
                _ => extras.push((name, value)),
            }
        }
        let is_ok = match status?.get() {
            "1" | "\"1\"" | "true" => true,
            "0" | "\"0\"" | "false" => false,
            _ => return None,
        };
        Some(Self { is_ok, request: request?, extras })
    }

    /// `request` as text, when it is a string or a number.
    fn text(&self) -> Option<String> {
        let json = self.request.get();
        if json.starts_with('"') {
            String::deserialize(self.request).ok()
        } else {
            json.starts_with(|first: char| first.is_ascii_digit() || first == '-').then(|| json.to_owned())
        }
    }

    /// `price`, a string of digits or a number.
    fn price(&self) -> Option<String> {
        let (_, value) = self.extras.iter().find(|(extra, _)| extra == "price")?;
        let text = String::deserialize(*value).unwrap_or_else(|_| value.get().to_owned());
        is_price(&text).then_some(text)
    }

    fn extra_text(&self, name: &str) -> Option<String> {
        let (_, value) = self.extras.iter().find(|(extra, _)| extra == name)?;
        String::deserialize(*value).ok()
    }
}

fn is_json(body: &[u8]) -> bool {
    body.first() == Some(&b'{')
}

/// Reads in.php's reply, in either form.
#[must_use]
pub fn read_upload(body: &[u8]) -> UploadReply {
    let body = body.trim_ascii();
    let accepted = |id: &[u8]| CaptchaId::parse(id).map_or(UploadReply::Garbage, UploadReply::Accepted);
    if let Some(id) = body.strip_prefix(b"OK|") {
        return accepted(id);
    }
    if is_json(body) {
        let body = String::from_utf8_lossy(body);
        let Some(envelope) = Envelope::parse(&body) else {
            return UploadReply::Garbage;
        };
        let Some(request) = envelope.text() else {
            return UploadReply::Garbage;
        };
        if envelope.is_ok {
            return accepted(request.as_bytes());
        }
        let text = envelope.extra_text("error_text");
        return refusal(request.as_bytes())
            .map_or(UploadReply::Garbage, |code| UploadReply::Refused { code, text });
    }
    refusal(body).map_or(UploadReply::Garbage, |code| UploadReply::Refused { code, text: None })
}

/// A code, or the bare address that in.php sends when a site key belongs to the search engine (protocol.md 2.5).
fn refusal(text: &[u8]) -> Option<Code> {
    let is_address = (text.starts_with(b"https://") || text.starts_with(b"http://"))
        && text.len() <= 500
        && text.iter().all(u8::is_ascii_graphic);
    Code::parse(text).or_else(|| is_address.then(|| Code::Unknown(Bytes::copy_from_slice(text))))
}

/// Reads res.php's reply to a look at one captcha, in either form.
#[must_use]
pub fn read_look(body: &[u8]) -> Look {
    let body = body.trim_ascii_end();
    if body.len() > ANSWER_BYTES_MAX + b"OK|".len() {
        return Look::Garbage;
    }
    if let Some(text) = body.strip_prefix(b"OK|").filter(|text| !text.is_empty()) {
        return Look::Solved(Answer::Text(Bytes::copy_from_slice(text)).into());
    }
    let body = body.trim_ascii_start();
    if !is_json(body) {
        return look_of_code(body);
    }
    // No charset is promised; an answer with foreign bytes in it is still an answer.
    let body = String::from_utf8_lossy(body);
    let Some(mut envelope) = Envelope::parse(&body) else {
        return Look::Garbage;
    };
    if !envelope.is_ok {
        return envelope.text().map_or(Look::Garbage, |text| look_of_code(text.as_bytes()));
    }
    let price = envelope.price();
    if price.is_some() {
        envelope.extras.retain(|(name, _)| name != "price");
    }
    let extras = envelope.extras.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    Look::Solved(Solution { answer: Answer::Json { request: envelope.request.to_owned(), extras }, price })
}

fn is_price(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Reads res.php's reply to `get2` for one captcha. In plain form the price stands behind the last `|`, for the answer
/// itself may hold one (protocol.md 7, trap 3).
#[must_use]
pub fn read_priced_look(body: &[u8]) -> Look {
    match read_look(body) {
        Look::Solved(Solution { answer: Answer::Text(text), price: None }) => {
            let price_at = text.iter().rposition(|byte| *byte == b'|');
            let split =
                price_at.map(|at| (text.slice(..at), String::from_utf8_lossy(&text[at + 1..]).into_owned()));
            Look::Solved(match split {
                Some((answer, price)) if is_price(&price) => {
                    Solution { answer: Answer::Text(answer), price: Some(price) }
                }
                _ => Answer::Text(text).into(),
            })
        }
        look => look,
    }
}

fn look_of_code(text: &[u8]) -> Look {
    match Code::parse(text) {
        Some(Code::Known(ErrorCode::NotReady)) => Look::NotReady,
        Some(code) => Look::Code(code),
        None => Look::Garbage,
    }
}

/// Reads res.php's reply to a look at `ids` captchas (at least two). It takes nothing from a reply that has another
/// number of pieces (protocol.md 3.3: 15 pieces for 33 ids were seen).
#[must_use]
pub fn read_batch(body: &[u8], ids: usize) -> Batch {
    let body = body.trim_ascii();
    if is_json(body) {
        // We ask in plain form; an upstream that answers in JSON all the same joins the pieces in `request`.
        let body = String::from_utf8_lossy(body);
        let Some(envelope) = Envelope::parse(&body) else {
            return Batch::Garbage;
        };
        return envelope.text().map_or(Batch::Garbage, |text| split_batch(text.as_bytes(), ids));
    }
    split_batch(body, ids)
}

fn split_batch(text: &[u8], ids: usize) -> Batch {
    if let Some(code) = Code::parse(text) {
        let is_about_account = code.known().is_none_or(ErrorCode::is_about_account);
        return if is_about_account { Batch::Account(code) } else { Batch::Mismatch { pieces: 1 } };
    }
    if text.is_empty() || text.starts_with(b"<") {
        return Batch::Garbage;
    }
    let pieces: Vec<&[u8]> = text.split(|byte| *byte == b'|').collect();
    // Nothing in a batch shows that a piece is an answer, so noise or a page with the right number of bars would pass for
    // some; and `OK|` before the pieces would shift each to its neighbour. Alone, an answer is known by the `OK|` before
    // it.
    let is_text = std::str::from_utf8(text)
        .is_ok_and(|text| !text.chars().any(|symbol| symbol.is_control() || symbol == '<'));
    if pieces.len() != ids || pieces[0] == b"OK" || !is_text {
        return Batch::Mismatch { pieces: pieces.len() };
    }
    Batch::Pieces(pieces.into_iter().map(look_of_piece).collect())
}

/// A piece of a batch has no `OK|` before it (protocol.md 3.3).
fn look_of_piece(piece: &[u8]) -> Look {
    match look_of_code(piece) {
        Look::Garbage if (1..=ANSWER_BYTES_MAX).contains(&piece.len()) => {
            Look::Solved(Answer::Text(Bytes::copy_from_slice(piece)).into())
        }
        look => look,
    }
}

/// What a call that is neither an upload nor a look was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Text(String),
    Code(Code),
    Garbage,
}

/// Reads the reply to getbalance or a report, in either form.
#[must_use]
pub fn read_told(body: &[u8]) -> Told {
    let body = body.trim_ascii();
    let text = if is_json(body) {
        let body = String::from_utf8_lossy(body);
        let Some(text) = Envelope::parse(&body).and_then(|envelope| envelope.text()) else {
            return Told::Garbage;
        };
        text
    } else {
        String::from_utf8_lossy(body).into_owned()
    };
    match Code::parse(text.as_bytes()) {
        Some(code) => Told::Code(code),
        None if text.is_empty() || text.starts_with('<') || text.len() > 200 => Told::Garbage,
        None => Told::Text(text),
    }
}
