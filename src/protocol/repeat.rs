//! By what an upload that comes again is known: the key that its client gave it, or everything that it says.

use std::fmt;

use sha2::{Digest, Sha256};

use super::errors::ErrorCode;
use super::submit::{Upload, WrongCall};

/// The header in which a client names an upload.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// Most bytes of that name.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// What one client calls an upload: the digest of both, so that it has one size and tells nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdempotencyKey([u8; 32]);

/// What makes two uploads the same: the client, everything that goes upstream but for the form of the reply, and where
/// the outcome is pushed to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sameness([u8; 32]);

/// By what an upload is known when it comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    pub same: Sameness,
    /// Then this alone says whether it is the same upload.
    pub key: Option<IdempotencyKey>,
}

impl IdempotencyKey {
    /// Reads all headers of that name; none when there is none.
    ///
    /// # Errors
    /// [`WrongCall`] for one that is empty or too long, and for several.
    pub fn parse<'a>(
        client: &str,
        headers: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<Self>, WrongCall> {
        let wrong = |reason: String| WrongCall::new(ErrorCode::BadParameters, reason);
        let mut headers = headers.into_iter();
        let Some(value) = headers.next() else { return Ok(None) };
        if headers.next().is_some() {
            return Err(wrong(format!("{IDEMPOTENCY_KEY} stands there more than once")));
        }
        match value.len() {
            0 => Err(wrong(format!("{IDEMPOTENCY_KEY} is empty"))),
            1..=IDEMPOTENCY_KEY_BYTES_MAX => Ok(Some(Self(digest([client.as_bytes(), value])))),
            size => Err(wrong(format!(
                "{IDEMPOTENCY_KEY} has {size} bytes; at most {IDEMPOTENCY_KEY_BYTES_MAX} are taken"
            ))),
        }
    }
}

impl Sameness {
    #[must_use]
    pub fn of(client: &str, upload: &Upload) -> Self {
        // Each name is there once; libraries that keep parameters in a hash map send them in any order.
        let mut fields: Vec<_> = upload.fields().iter().filter(|field| field.name != "json").collect();
        fields.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let parts = fields.into_iter().flat_map(|field| [field.name.as_bytes(), &field.value[..]]);
        // Two receivers are told of two captchas.
        let pingback = upload.pingback.as_ref().map(|target| target.as_str().as_bytes());
        Self(digest(std::iter::once(client.as_bytes()).chain(parts).chain(pingback)))
    }
}

impl Repeat {
    #[must_use]
    pub fn of(client: &str, upload: &Upload) -> Self {
        Self { same: Sameness::of(client, upload), key: upload.idempotency_key }
    }
}

/// As a store keeps them.
macro_rules! stored {
    ($name:ident) => {
        impl $name {
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let [first, second, ..] = self.0;
                write!(f, concat!(stringify!($name), "({:02x}{:02x}..)"), first, second)
            }
        }
    };
}

stored!(IdempotencyKey);
stored!(Sameness);

/// Of all parts, each with its length: where one ends and the next begins counts too.
fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::protocol::form::Form;

    fn same(client: &str, query: &str) -> Sameness {
        Sameness::of(client, &Upload::check(Form::decode(query, &Bytes::new()).unwrap()).unwrap())
    }

    #[test]
    fn uploads_are_the_same_for_one_client_and_one_content_whatever_the_key_form_and_order() {
        let first = same("a", "key=1&textcaptcha=x&lang=en");
        assert_eq!(first, same("a", "key=2&textcaptcha=x&lang=en&header_acao=1&json=1"));
        assert_eq!(first, same("a", "key=1&lang=en&textcaptcha=x"));
        assert_ne!(first, same("b", "key=1&textcaptcha=x&lang=en"));
        assert_ne!(first, same("a", "key=1&textcaptcha=y&lang=en"));
        assert_ne!(first, same("a", "key=1&textcaptcha=xlang&=en"));
        let pushed = same("a", "textcaptcha=x&lang=en&pingback=http://gw.example/1");
        assert_ne!(first, pushed);
        assert_eq!(pushed, same("a", "pingback=GW.example/1&textcaptcha=x&lang=en"));
        assert_ne!(pushed, same("a", "textcaptcha=x&lang=en&pingback=http://gw.example/2"));
    }

    #[test]
    fn a_key_is_one_clients_and_has_1_to_255_bytes() {
        let parse = |client, value: &[u8]| IdempotencyKey::parse(client, [value]);
        let longest = [b'k'; IDEMPOTENCY_KEY_BYTES_MAX];
        assert_eq!(IdempotencyKey::parse("a", []), Ok(None));
        assert_eq!(parse("a", &longest), parse("a", &longest));
        assert_ne!(parse("a", &longest), parse("b", &longest));
        assert_ne!(parse("a", &longest), parse("a", &longest[1..]));
        for (value, why) in [(&b""[..], "empty"), (&[b'k'; IDEMPOTENCY_KEY_BYTES_MAX + 1], "256 bytes")] {
            let wrong = parse("a", value).unwrap_err();
            assert_eq!(wrong.code, ErrorCode::BadParameters);
            assert!(wrong.reason.contains(why), "{}", wrong.reason);
        }
        assert!(IdempotencyKey::parse("a", [&b"one"[..], b"two"]).is_err());
    }
}
