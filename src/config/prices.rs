//! What an answer costs where the upstream did not say: in USD per 1,000 answers, as the service's price list has it.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::exact::Exact;
use crate::protocol::methods::{FirstLook, Method};

/// The highest price, in USD per 1,000 answers.
pub(super) const PRICE_MAX: u32 = 10_000;
/// The service's price list names 0.50 to 1.00 for images and texts, as they are in demand: the upper end.
const IMAGES: Decimal = Decimal::from_parts(100, 0, 0, false, 2);
/// What the service's own examples name for a token.
const TOKENS: Decimal = Decimal::from_parts(299, 0, 0, false, 2);

/// A price for every method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prices(BTreeMap<Method, Decimal>);

impl Prices {
    /// What one answer costs, in USD.
    #[must_use]
    pub fn of_one(&self, method: Method) -> Decimal {
        self.of_1000(method) / Decimal::ONE_THOUSAND
    }

    /// What 1,000 answers cost, in USD.
    #[must_use]
    pub fn of_1000(&self, method: Method) -> Decimal {
        self.0.get(&method).copied().unwrap_or(TOKENS)
    }
}

impl Default for Prices {
    fn default() -> Self {
        let price = |method: Method| match method.first_look() {
            FirstLook::Image => IMAGES,
            FirstLook::Token => TOKENS,
        };
        Self(Method::ALL.iter().map(|method| (*method, price(*method))).collect())
    }
}

impl Serialize for Prices {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(method, price)| (method.label(), Exact(*price))))
    }
}

/// The prices that are given, over the defaults.
impl<'de> Deserialize<'de> for Prices {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let given = BTreeMap::<String, Exact>::deserialize(from)?;
        let mut prices = Self::default();
        for (label, Exact(price)) in given {
            let method =
                Method::from_label(&label).ok_or_else(|| D::Error::custom("not a method's label"))?;
            prices.0.insert(method, price);
        }
        Ok(prices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_tokens_have_the_list_prices_until_others_are_given() {
        let prices: Prices = toml::from_str("image = 0.77\nrecaptcha_v2 = 1").unwrap();
        let of = |method| prices.of_one(method).to_string();
        assert_eq!((of(Method::Image).as_str(), of(Method::RecaptchaV2).as_str()), ("0.00077", "0.001"));
        assert_eq!(prices.of_one(Method::Text), "0.001".parse().unwrap());
        assert_eq!(prices.of_one(Method::Other), "0.00299".parse().unwrap());
        assert!(toml::from_str::<Prices>("no_such_captcha = 1").is_err());
        assert!(toml::from_str::<Prices>("image = \"1\"").is_err());
    }

    #[test]
    fn prices_written_are_read_back_to_the_digit() {
        let prices: Prices = toml::from_str("image = 0.1\ngrid = 0.123456789\naudio = 10000").unwrap();
        assert_eq!(toml::from_str::<Prices>(&toml::to_string(&prices).unwrap()), Ok(prices));
    }
}
