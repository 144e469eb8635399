//! Names of things on the wire: keys, which never print themselves, and captcha ids.

use std::fmt;
use std::hash::{Hash, Hasher};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::errors::ErrorCode;

/// Symbols in a key, a client's or the upstream's (protocol.md 1).
pub const KEY_SYMBOLS: usize = 32;

/// The account's key at the upstream. It leaves the process only inside a call to the upstream.
#[derive(Clone)]
pub struct UpstreamKey(SecretString);

impl UpstreamKey {
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self(SecretString::from(key))
    }

    /// Tells one key from another without telling the key: 16 hexadecimal digits of its SHA-256.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex(&Sha256::digest(self.expose().as_bytes())[..8])
    }

    /// The key itself, for the one place that writes it onto the wire.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for UpstreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A client's key as it is kept: its SHA-256. A look-up by digest leaks nothing of the key through its duration, and
/// two digests are compared in the same time whatever they share.
#[derive(Clone, Copy, Eq)]
pub struct ClientKey([u8; 32]);

impl PartialEq for ClientKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for ClientKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl ClientKey {
    /// # Errors
    /// `ERROR_WRONG_USER_KEY` when `key` has not [`KEY_SYMBOLS`] symbols (protocol.md 2.5).
    pub fn parse(key: &[u8]) -> Result<Self, ErrorCode> {
        if key.len() == KEY_SYMBOLS && key.iter().all(u8::is_ascii_graphic) {
            Ok(Self(Sha256::digest(key).into()))
        } else {
            Err(ErrorCode::WrongUserKey)
        }
    }

    /// A key that is configured as the 64 hexadecimal digits of its SHA-256.
    #[must_use]
    pub fn from_sha256_hex(hex: &str) -> Option<Self> {
        if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(digest))
    }

    /// The 64 hexadecimal digits that a settings file holds instead of the key.
    #[must_use]
    pub fn sha256_hex(&self) -> String {
        hex(&self.0)
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Lower-case hexadecimal digits of `bytes`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A captcha's id: the upstream's own, decimal (protocol.md 1: 10 and 11 digits are in use).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CaptchaId(pub u64);

impl CaptchaId {
    /// # Errors
    /// `ERROR_WRONG_ID_FORMAT` when `text` is not all digits, `ERROR_WRONG_CAPTCHA_ID` when it is a number larger
    /// than any id we could have given out.
    pub fn parse(text: &[u8]) -> Result<Self, ErrorCode> {
        let text = text.trim_ascii();
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
            return Err(ErrorCode::WrongIdFormat);
        }
        text.iter()
            .try_fold(0_u64, |id, digit| id.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
            .map(Self)
            .ok_or(ErrorCode::WrongCaptchaId)
    }
}

impl fmt::Display for CaptchaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_exactly_32_visible_symbols() {
        assert!(ClientKey::parse(&[b'a'; 32]).is_ok());
        for wrong in [&[b'a'; 31][..], &[b'a'; 33], &[b' '; 32], b""] {
            assert_eq!(ClientKey::parse(wrong), Err(ErrorCode::WrongUserKey));
        }
    }

    #[test]
    fn a_key_equals_its_configured_digest_and_never_prints_itself() {
        let key = ClientKey::parse(b"fake-client-key-0000000000000001").unwrap();
        assert_eq!(ClientKey::from_sha256_hex(&key.sha256_hex()), Some(key));
        assert_eq!(ClientKey::from_sha256_hex("zz"), None);
        assert_eq!(ClientKey::from_sha256_hex(&"+f".repeat(32)), None);
        assert_eq!(ClientKey::from_sha256_hex(&"é".repeat(32)), None);
        assert_eq!(format!("{key:?} {:?}", UpstreamKey::new("secret")), "*** ***");
    }

    #[test]
    fn ids_are_decimal_and_as_large_as_u64() {
        assert_eq!(CaptchaId::parse(b"51555263943"), Ok(CaptchaId(51_555_263_943)));
        assert_eq!(CaptchaId::parse(b"18446744073709551615"), Ok(CaptchaId(u64::MAX)));
        assert_eq!(CaptchaId::parse(b"18446744073709551616"), Err(ErrorCode::WrongCaptchaId));
        for malformed in [&b""[..], b"12a", b"-1", b"1 2", b"1.0"] {
            assert_eq!(CaptchaId::parse(malformed), Err(ErrorCode::WrongIdFormat));
        }
    }
}
