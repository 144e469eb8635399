//! What each client may do and spend at present, for the metrics.

use std::sync::Arc;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::Server;
use crate::clients::Client;
use crate::engine::allowance::Left;
use crate::metrics::{Budget, Standing};

/// Every client, its open captchas, and what is left of its budgets.
pub(super) fn of_all(server: &Server) -> Vec<(Arc<Client>, u32, Vec<Left>)> {
    let allowances = &server.driver.allowances;
    let standing = |client: Arc<Client>| {
        let (open, left) = (allowances.open(&client.name), allowances.left(&client));
        (client, open, left)
    };
    server.clients.all().into_iter().map(standing).collect()
}

/// Shows it in the metrics.
pub(super) fn publish(server: &Server) {
    let clients = of_all(server);
    let standings: Vec<Standing<'_>> =
        clients.iter().map(|(client, _, left)| standing(server, client, left)).collect();
    server.metrics.clients(&standings);
}

fn standing<'c>(server: &Server, client: &'c Client, left: &[Left]) -> Standing<'c> {
    let budget = |Left { quota, limit, left, .. }: &Left| Budget {
        is_usd: quota.is_usd(),
        period: quota.period(),
        limit: number(*limit),
        left: number(*left),
    };
    Standing {
        client: &client.name,
        is_stopped: server.driver.may_call(client).is_err(),
        open_limit: client.allowance.open,
        budgets: left.iter().map(budget).collect(),
        warning: number(client.allowance.warning),
    }
}

/// As near as a metric can hold it.
fn number(amount: Decimal) -> f64 {
    amount.to_f64().unwrap_or(f64::NAN)
}
