//! What each client may do and spend at present, for the metrics.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::Server;
use crate::clients::Client;
use crate::engine::allowance::Left;
use crate::metrics::{Budget, Standing};

/// Shows it in the metrics.
pub(super) fn publish(server: &Server) {
    let clients = server.clients.all();
    let standings: Vec<Standing<'_>> = clients.iter().map(|client| standing(server, client)).collect();
    server.metrics.clients(&standings);
}

fn standing<'c>(server: &Server, client: &'c Client) -> Standing<'c> {
    let driver = &server.driver;
    let budget = |Left { quota, limit, left, .. }| Budget {
        is_usd: quota.is_usd(),
        period: quota.period(),
        limit: number(limit),
        left: number(left),
    };
    Standing {
        client: &client.name,
        is_stopped: client.policy.may_call(driver.clock.now()).is_err(),
        open_limit: client.allowance.open,
        budgets: driver.allowances.left(client).into_iter().map(budget).collect(),
        warning: number(client.allowance.warning),
    }
}

/// As near as a metric can hold it.
fn number(amount: Decimal) -> f64 {
    amount.to_f64().unwrap_or(f64::NAN)
}
