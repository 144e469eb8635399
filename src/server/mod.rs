//! Where clients' calls arrive, and where their replies leave.
//!
//! | file | what it answers |
//! | --- | --- |
//! | `routes` | every path |
//! | `door` | what every call of a client goes through |
//! | `call` | a call's parameters, and the limits of what is taken |
//! | `connections` | who is connected, and how much of them is taken |
//! | `limits` | what is taken from strangers, in one table |
//! | `in_php`, `res_php`, `load_php` | the v1 interface |
//! | `admin` | `/metrics`, `/healthz`, `/readyz` |
//! | `actions` | what operators do, and the clients |
//! | `guard` | who may do what on the admin listener |
//! | `status` | the status page, and the same as JSON |
//! | `standings` | what each client may do and spend, for the metrics |
//! | `push` | what the upstream pushes to us |
//! | `peer` | whether a client is still there |
//! | `callers` | from where a call comes, behind proxies too |
//! | `wrong_keys` | calls with a key that is no client's |
//! | `respond` | the one place where our errors become a wire reply |

mod actions;
mod admin;
mod call;
mod callers;
pub mod connections;
pub mod door;
pub mod guard;
mod in_php;
pub mod limits;
mod load_php;
mod peer;
mod push;
mod res_php;
mod respond;
pub mod routes;
mod standings;
pub mod status;
mod wrong_keys;

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::HttpRequest;
use tokio_util::sync::CancellationToken;

use crate::clients::Clients;
use crate::driver::Driver;
use crate::metrics::Metrics;
pub use wrong_keys::WrongKeys;

/// What the handlers need.
#[derive(Debug)]
pub struct Server {
    pub clients: Clients,
    pub driver: Driver,
    pub metrics: Arc<Metrics>,
    pub wrong_keys: WrongKeys,
    /// An operator has asked for the end.
    pub told_to_stop: CancellationToken,
}

impl Server {
    #[must_use]
    pub fn new(clients: Clients, driver: Driver, metrics: Arc<Metrics>) -> Self {
        let wrong_keys = WrongKeys::new(driver.clock, Arc::clone(&metrics));
        for refused in guard::Refused::ALL {
            metrics.admin_may_refuse(refused.label());
        }
        Self { clients, driver, metrics, wrong_keys, told_to_stop: CancellationToken::new() }
    }

    /// Where a call comes from.
    fn caller(&self, call: &HttpRequest) -> Option<IpAddr> {
        callers::caller(call, &self.driver.live().load().listen.trusted_proxies)
    }
}
