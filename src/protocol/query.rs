//! Urlencoded parameters, read where they stand: a poll needs four of them for a moment, and no memory for that.

use std::borrow::Cow;
use std::fmt;

use super::form::{Form, NAME_BYTES_MAX, PARAMETERS_MAX};

/// A call's parameters, wherever they are kept.
pub trait Parameters {
    /// The value of `name` without surrounding blanks, if it was sent and is not blank.
    fn word(&self, name: &str) -> Option<Cow<'_, [u8]>>;

    /// Whether the switch `name` is `1`; every other value, `json=0` too, is off.
    fn is_on(&self, name: &str) -> bool {
        self.word(name).as_deref() == Some(b"1")
    }
}

impl Parameters for Form {
    fn word(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        Self::word(self, name).map(Cow::Borrowed)
    }
}

/// The parameters of a call without a body. It says of each what a [`Form`] of the same text says.
#[derive(Clone, Copy)]
pub struct Query<'a>(&'a [u8]);

/// Shows no value: it may be a key.
impl fmt::Debug for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query ({} bytes)", self.0.len())
    }
}

impl<'a> Query<'a> {
    /// None when a [`Form`] would refuse it for its size.
    #[must_use]
    pub fn within_limits(text: &'a str) -> Option<Self> {
        let (mut count, mut longest) = (0, 0);
        for (name, _) in pairs(text.as_bytes()) {
            count += 1;
            longest = longest.max(name.len());
        }
        // Decoding makes no name longer but one that is no text, where each byte becomes three.
        (count <= PARAMETERS_MAX && longest <= NAME_BYTES_MAX / 3).then_some(Self(text.as_bytes()))
    }
}

impl Parameters for Query<'_> {
    fn word(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let mut found = None;
        for (sent, value) in pairs(self.0) {
            if sent == name.as_bytes() || *url_decoded(sent) == *name.as_bytes() {
                found = Some(value);
            }
        }
        let word = match url_decoded(found?) {
            Cow::Borrowed(value) => Cow::Borrowed(value.trim_ascii()),
            Cow::Owned(value) => Cow::Owned(value.trim_ascii().to_vec()),
        };
        Some(word).filter(|word| !word.is_empty())
    }
}

/// Names and values as they were sent.
pub(super) fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        match pair.iter().position(|byte| *byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        }
    })
}

/// `+` is a blank and `%41` is `A`; a `%` that two digits do not follow stands for itself.
pub(super) fn url_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    let is_plain = |byte: &u8| !matches!(byte, b'+' | b'%');
    if text.iter().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| !is_plain(byte)) {
        decoded.extend_from_slice(&rest[..at]);
        let digit = |place: usize| rest.get(place).and_then(|byte| char::from(*byte).to_digit(16));
        let (byte, took) = match (rest[at], digit(at + 1), digit(at + 2)) {
            (b'+', ..) => (b' ', 1),
            (_, Some(high), Some(low)) => (u8::try_from(high * 16 + low).unwrap_or_default(), 3),
            _ => (b'%', 1),
        };
        decoded.push(byte);
        rest = &rest[at + took..];
    }
    decoded.extend_from_slice(rest);
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use percent_encoding::percent_decode;
    use proptest::prelude::*;

    use super::*;

    /// Names that are asked for, whole, in parts, encoded, and with blanks and noise between.
    fn texts() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("id"),
            Just("key"),
            Just("i%64"),
            Just("json"),
            Just("="),
            Just("&"),
            Just("1"),
            Just("%31"),
            Just("+"),
            Just("%20"),
            Just("%"),
            Just("%4"),
            Just("%zz"),
            Just("%FF"),
            Just("7,8"),
            Just("%2B"),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn a_query_says_what_a_form_of_the_same_text_says(text in texts()) {
            let form = Form::decode(&text, &Bytes::new()).unwrap();
            let query = Query::within_limits(&text).unwrap();
            for name in ["id", "key", "json", "ids", "", "1", " "] {
                prop_assert_eq!(query.word(name), Parameters::word(&form, name), "{} in {}", name, text);
                prop_assert_eq!(query.is_on(name), form.is_on(name));
            }
        }

        #[test]
        fn decoding_is_that_of_the_standard_with_blanks_for_plus(text in prop::collection::vec(any::<u8>(), 0..40)) {
            let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
            let expected: Vec<u8> = percent_decode(&spaced).collect();
            prop_assert_eq!(&*url_decoded(&text), &expected[..]);
        }
    }

    #[test]
    fn what_a_form_would_refuse_for_its_size_is_no_query() {
        assert!(Query::within_limits(&"a=1&".repeat(PARAMETERS_MAX)).is_some());
        assert!(Query::within_limits(&"a=1&".repeat(PARAMETERS_MAX + 1)).is_none());
        assert!(Query::within_limits(&"n".repeat(NAME_BYTES_MAX / 3)).is_some());
        assert!(Query::within_limits(&"n".repeat(NAME_BYTES_MAX / 3 + 1)).is_none());
    }
}
