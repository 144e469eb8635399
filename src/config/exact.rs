//! Numbers that are taken by their digits: a tenth is a tenth, and not the nearest binary fraction.

use std::fmt;

use rust_decimal::Decimal;
use serde::de::Unexpected;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of TOML by its digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exact(pub Decimal);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // TOML has no other numbers with a fraction. They are read back by their shortest digits, which are the same.
        to.serialize_f64(self.0.to_string().parse().unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Exact;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Exact, E> {
                Ok(Exact(number.into()))
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Exact, E> {
                Ok(Exact(number.into()))
            }
            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Exact, E> {
                let digits = number.to_string().parse();
                digits.map(Exact).map_err(|_| E::invalid_value(Unexpected::Float(number), &self))
            }
        }
        from.deserialize_any(Visitor)
    }
}
