//! Whether a reply of the upstream shows the account's key, also in the forms in which a client would read it all the same.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::percent_decode;

/// Whether `key` stands in `body`: as it is, urlencoded, escaped as JSON can be, in hexadecimal digits or in base64.
pub(super) fn shows(body: &[u8], key: &str) -> bool {
    if key.is_empty() {
        return false;
    }
    let key = key.as_bytes();
    contains(body, key)
        || body.contains(&b'%') && contains(&percent_decode(body).collect::<Vec<u8>>(), key)
        || body.contains(&b'\\') && contains(&unescaped(body), key)
        || encoded(key).iter().any(|form| contains(body, form.as_bytes()))
}

/// The key in other alphabets. In base64 a text looks different at each of three offsets; the symbols at either end that
/// hold bits of its neighbours are left out.
fn encoded(key: &[u8]) -> Vec<String> {
    let mut forms = vec![crate::protocol::ids::hex(key)];
    for offset in 0..3 {
        let shifted = [&[0; 2][..offset], key].concat();
        let ends_whole = shifted.len() % 3 == 0;
        for text in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            let start = [0, 2, 3][offset];
            let end = text.len() - usize::from(!ends_whole);
            forms.push(text[start..end].to_owned());
        }
    }
    forms
}

/// With `\u0041` and `\/` as what they stand for, where that is ASCII.
fn unescaped(body: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.strip_prefix(b"u").and_then(|after| std::str::from_utf8(after.get(..4)?).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, code) {
            (b'\\', Some(code)) => {
                text.push(code);
                rest = &after[5..];
            }
            (b'\\', None) => {
                text.extend(after.first());
                rest = after.get(1..).unwrap_or_default();
            }
            _ => {
                text.push(*first);
                rest = after;
            }
        }
    }
    text
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    body.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "fake-account-key-000000000000001";

    #[test]
    fn a_key_is_seen_in_every_form() {
        let each = |escape: fn(u8) -> String| KEY.bytes().map(escape).collect::<Vec<_>>().concat();
        let (escaped, percent) = (each(|byte| format!("\\u{byte:04X}")), each(|byte| format!("%{byte:02x}")));
        let base64 = |before: &str| STANDARD_NO_PAD.encode(format!("{before}{KEY}, and more"));
        let forms = [
            KEY.to_owned(),
            KEY.replace('-', "%2D"),
            KEY.replace('-', "\\u002d"),
            escaped,
            percent,
            crate::protocol::ids::hex(KEY.as_bytes()),
            base64(""),
            base64("x"),
            base64("xy"),
            URL_SAFE_NO_PAD.encode(KEY),
        ];
        for form in forms {
            assert!(shows(format!("OK|{form}|x").as_bytes(), KEY), "{form}");
        }
    }

    #[test]
    fn what_holds_no_key_is_passed_on() {
        for text in [
            "",
            "OK|1",
            "OK|fake-account-key-000000000000002",
            "\\",
            "\\u00",
            "%",
            "%f",
            "{\"a\":\"\\u00e9\\\"\"}",
        ] {
            assert!(!shows(text.as_bytes(), KEY), "{text}");
        }
        assert!(!shows(b"anything", ""));
    }
}
