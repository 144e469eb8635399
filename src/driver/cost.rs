//! What an answer costs, and who says so.

use rust_decimal::Decimal;

use crate::audit;
use crate::config::Prices;
use crate::metrics::CostBasis;
use crate::protocol::answer::price_of;
use crate::protocol::methods::Method;

/// What one answer costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// In USD.
    pub usd: Decimal,
    pub basis: CostBasis,
}

impl Cost {
    /// The price that the upstream told with the answer, if it is one; else the settings' price for the method.
    #[must_use]
    pub fn of(told: Option<&str>, method: Method, prices: &Prices) -> Self {
        let told = told.and_then(price_of).map(|usd| Self { usd, basis: CostBasis::Told });
        told.unwrap_or_else(|| Self { usd: prices.of_one(method), basis: CostBasis::Estimated })
    }
}

impl From<Cost> for audit::Cost {
    fn from(Cost { usd, basis }: Cost) -> Self {
        match basis {
            CostBasis::Told => Self::told(usd),
            CostBasis::Estimated => Self::estimated(usd),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_costs_what_the_upstream_told_and_else_what_the_settings_say() {
        let cost = |told| {
            let Cost { usd, basis } = Cost::of(told, Method::Image, &Prices::default());
            (usd.normalize().to_string(), basis)
        };
        assert_eq!(cost(Some("0.5")), ("0.5".to_owned(), CostBasis::Told));
        assert_eq!(cost(Some("0")), ("0".to_owned(), CostBasis::Told));
        for none in [None, Some("-1"), Some("free"), Some("NaN")] {
            assert_eq!(cost(none), ("0.001".to_owned(), CostBasis::Estimated), "{none:?}");
        }
    }
}
