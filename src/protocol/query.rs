//! Urlencoded parameters, read where they stand: a poll needs four of them for a moment, and no memory for that.

use std::borrow::Cow;
use std::fmt;

use super::form::{Form, NAME_BYTES_MAX};

/// Most parameters that are read where they stand; a poll has four to seven.
pub const IN_PLACE_MAX: usize = 12;

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
pub struct Query<'a> {
    /// Names and values as they were sent; the first `count` are some.
    pairs: [(&'a [u8], &'a [u8]); IN_PLACE_MAX],
    count: usize,
}

/// Shows no value: it may be a key.
impl fmt::Debug for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query ({} parameters)", self.count)
    }
}

impl<'a> Query<'a> {
    /// None for what a poll never is: more than [`IN_PLACE_MAX`] parameters, or a name that is encoded or long. A [`Form`]
    /// tells whether that is too much.
    #[must_use]
    pub fn in_place(text: &'a str) -> Option<Self> {
        let mut query = Self { pairs: [(&[], &[]); IN_PLACE_MAX], count: 0 };
        for (name, value) in pairs(text.as_bytes()) {
            let is_plain = name.len() <= NAME_BYTES_MAX
                && name.iter().all(|byte| matches!(byte, b'!'..=b'~') && is_plain(*byte));
            *query.pairs.get_mut(query.count).filter(|_| is_plain)? = (name, value);
            query.count += 1;
        }
        Some(query)
    }
}

impl Parameters for Query<'_> {
    fn word(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        // Of several of the same name the last counts.
        let (_, value) = self.pairs[..self.count].iter().rfind(|(sent, _)| *sent == name.as_bytes())?;
        let word = match url_decoded(value) {
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
    if text.iter().copied().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| !is_plain(*byte)) {
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

/// Whether it stands for itself.
const fn is_plain(byte: u8) -> bool {
    !matches!(byte, b'+' | b'%')
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
            let Some(query) = Query::in_place(&text) else { return Ok(()) };
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
    fn what_is_no_poll_is_not_read_in_place() {
        assert!(Query::in_place("").is_some());
        assert!(Query::in_place(&"a=1&".repeat(IN_PLACE_MAX)).is_some());
        assert!(Query::in_place(&"a=1&".repeat(IN_PLACE_MAX + 1)).is_none());
        assert!(Query::in_place(&"n".repeat(NAME_BYTES_MAX)).is_some());
        assert!(Query::in_place(&"n".repeat(NAME_BYTES_MAX + 1)).is_none());
        for encoded in ["i%64=7", "a+b=1", "\u{e9}=1", "a b=1"] {
            assert!(Query::in_place(encoded).is_none(), "{encoded}");
        }
    }

    #[test]
    fn of_several_values_the_last_counts() {
        let query = Query::in_place("id=7&key=k&id=%38+&json").unwrap();
        assert_eq!((query.word("id").as_deref(), query.word("json")), (Some(&b"8"[..]), None));
    }
}
