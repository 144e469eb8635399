//! A captcha's answer, kept as the upstream gave it and written in the form that each call asks for.

use bytes::Bytes;
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use super::errors::Code;
use super::json::JsonObject;

/// A price above this is none: what an upstream in disorder writes must not drown all other figures. In USD.
const PRICE_MAX: Decimal = Decimal::ONE_HUNDRED;
/// Decimal places of a price that count: with a billionth of a dollar, sums stay exact.
const PRICE_PLACES: u32 = 9;

/// How a captcha ended.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Text, as a plain reply or a piece of a batch gave it; bytes, for no charset is promised.
    Text(Bytes),
    /// A JSON reply: `request` as it came (text, object, array or number) and the members beside it.
    Json { request: Box<RawValue>, extras: Vec<(String, Box<RawValue>)> },
    /// An end without an answer, such as `ERROR_CAPTCHA_UNSOLVABLE`.
    Failed(Code),
}

/// An answer and what it cost.
#[derive(Clone, Debug)]
pub struct Solution {
    pub answer: Answer,
    /// In USD, as the upstream wrote it; only `get2` tells it.
    pub price: Option<String>,
}

/// A price as the upstream wrote it, in USD, if it is one.
#[must_use]
pub fn price_of(text: &str) -> Option<Decimal> {
    let price: Decimal = text.trim().parse().ok()?;
    (Decimal::ZERO..=PRICE_MAX).contains(&price).then(|| price.round_dp(PRICE_PLACES))
}

impl From<Answer> for Solution {
    fn from(answer: Answer) -> Self {
        Self { answer, price: None }
    }
}

impl Answer {
    /// What follows `OK|` in a plain reply, or the code of a failed captcha.
    #[must_use]
    pub fn plain(&self) -> Bytes {
        match self {
            Self::Text(text) => text.clone(),
            Self::Json { request, .. } => json_as_plain(request),
            Self::Failed(code) => Bytes::copy_from_slice(code.as_bytes()),
        }
    }

    #[must_use]
    pub const fn is_failed(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    /// The answer as a store keeps it: a letter for its kind, then its bytes.
    #[must_use]
    pub fn to_stored(&self) -> Vec<u8> {
        let tagged = |tag: u8, content: &[u8]| [&[tag], content].concat();
        match self {
            Self::Text(text) => tagged(b'T', text),
            Self::Failed(code) => tagged(b'E', code.as_bytes()),
            Self::Json { request, extras } => {
                let mut object = String::from("{\"request\":");
                object.push_str(request.get());
                for (name, value) in extras {
                    object.push(',');
                    object.push_str(&serde_json::Value::from(name.as_str()).to_string());
                    object.push(':');
                    object.push_str(value.get());
                }
                object.push('}');
                tagged(b'J', object.as_bytes())
            }
        }
    }

    /// Reads what [`Self::to_stored`] wrote; `None` when it is damaged.
    #[must_use]
    pub fn from_stored(stored: &[u8]) -> Option<Self> {
        let (tag, content) = stored.split_first()?;
        match tag {
            b'T' => Some(Self::Text(Bytes::copy_from_slice(content))),
            b'E' => Some(Self::Failed(
                Code::parse(content).unwrap_or_else(|| Code::Unknown(Bytes::copy_from_slice(content))),
            )),
            b'J' => {
                let object = JsonObject::parse(std::str::from_utf8(content).ok()?).ok()?;
                let mut members = object.0.into_iter().map(|(name, value)| (name, value.to_owned()));
                let (_, request) = members.next().filter(|(name, _)| name == "request")?;
                Some(Self::Json { request, extras: members.collect() })
            }
            _ => None,
        }
    }
}

/// Coordinates are an array in JSON and `coordinate:x=1,y=2;x=3,y=4` in plain text (protocol.md 2.3).
fn coordinates_as_plain(json: &str) -> Option<String> {
    let points: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(json).ok()?;
    let points: Vec<String> = points
        .iter()
        .map(|point| {
            let number = |name: &str| match point.get(name)? {
                serde_json::Value::String(text) => Some(text.clone()),
                serde_json::Value::Number(number) => Some(number.to_string()),
                _ => None,
            };
            (point.len() == 2).then(|| Some(format!("x={},y={}", number("x")?, number("y")?)))?
        })
        .collect::<Option<_>>()?;
    (!points.is_empty()).then(|| format!("coordinate:{}", points.join(";")))
}

fn json_as_plain(json: &RawValue) -> Bytes {
    let text = json.get();
    if text.starts_with('"') {
        // A string always parses: it was checked when the reply was read.
        return serde_json::from_str::<String>(text).unwrap_or_else(|_| text.to_owned()).into();
    }
    let coordinates = text.starts_with('[').then(|| coordinates_as_plain(text)).flatten();
    coordinates.map_or_else(|| Bytes::copy_from_slice(text.as_bytes()), Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ErrorCode;

    fn json(text: &str) -> Answer {
        let request = RawValue::from_string(text.to_owned()).unwrap();
        let extra = RawValue::from_string(r#"{"a": 1}"#.to_owned()).unwrap();
        Answer::Json { request, extras: vec![("us\"er".to_owned(), extra)] }
    }

    #[test]
    fn plain_text_of_each_kind_of_json_answer() {
        assert_eq!(json(r#""40|\u044f""#).plain(), "40|я");
        assert_eq!(json(r#"{"b":1, "a":"x|jordan"}"#).plain(), r#"{"b":1, "a":"x|jordan"}"#);
        assert_eq!(
            json(r#"[{"x":"39","y":59},{"x":252,"y":"72"}]"#).plain(),
            "coordinate:x=39,y=59;x=252,y=72"
        );
        assert_eq!(json(r#"[{"xMin":1,"yMin":2}]"#).plain(), r#"[{"xMin":1,"yMin":2}]"#);
        assert_eq!(json("[]").plain(), "[]");
    }

    #[test]
    fn a_stored_answer_comes_back_as_it_was() {
        let bytes = Bytes::from_static(b"\xF2|\0");
        for answer in
            [Answer::Text(bytes), json(r#"{"a": [1, 2]}"#), Answer::Failed(ErrorCode::Unsolvable.into())]
        {
            let back = Answer::from_stored(&answer.to_stored()).unwrap();
            assert_eq!(back.to_stored(), answer.to_stored());
            assert_eq!((back.plain(), back.is_failed()), (answer.plain(), answer.is_failed()));
        }
        for damaged in [&b""[..], b"?x", b"J{", b"J{\"a\":1}"] {
            assert!(Answer::from_stored(damaged).is_none());
        }
    }
}
