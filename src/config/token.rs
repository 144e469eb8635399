//! The operators' token: kept as its digest, compared in the same time whatever is offered.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::values::MASK;

/// Fewest symbols of a token: as many as a client's key has.
pub const TOKEN_SYMBOLS_MIN: usize = 32;
/// Most symbols of a token.
pub const TOKEN_SYMBOLS_MAX: usize = 256;

/// The digest of the token with which operators say that they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AdminToken([u8; 32]);

impl AdminToken {
    /// None for what is too short or too long, or has other than visible symbols.
    #[must_use]
    pub fn parse(token: &str) -> Option<Self> {
        let is_token = (TOKEN_SYMBOLS_MIN..=TOKEN_SYMBOLS_MAX).contains(&token.len())
            && token.bytes().all(|byte| byte.is_ascii_graphic());
        is_token.then(|| Self(Sha256::digest(token).into()))
    }

    /// Whether `offered` is the token.
    #[must_use]
    pub fn is(&self, offered: &[u8]) -> bool {
        let offered: [u8; 32] = Sha256::digest(offered).into();
        self.0.ct_eq(&offered).into()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for AdminToken {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(MASK)
    }
}

impl<'de> Deserialize<'de> for AdminToken {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).ok_or_else(|| D::Error::custom("not a token"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_32_to_256_visible_symbols_and_never_prints_itself() {
        for good in ["t".repeat(TOKEN_SYMBOLS_MIN), "t".repeat(TOKEN_SYMBOLS_MAX)] {
            let token = AdminToken::parse(&good).unwrap();
            assert!(token.is(good.as_bytes()) && !token.is(b"") && !token.is(&good.as_bytes()[1..]));
            assert_eq!(format!("{token:?}"), "***");
        }
        for bad in
            [String::new(), "t".repeat(31), "t".repeat(257), format!("{} ", "t".repeat(32)), "é".repeat(32)]
        {
            assert_eq!(AdminToken::parse(&bad), None, "{bad}");
        }
    }
}
