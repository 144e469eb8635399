//! Where clients' calls arrive, and where their replies leave.
//!
//! | file | what it answers |
//! | --- | --- |
//! | `routes` | every path |
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
//! | `respond` | the one place where our errors become a wire reply |

mod actions;
mod admin;
mod call;
pub mod connections;
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

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::clients::Clients;
use crate::driver::Driver;
use crate::metrics::Metrics;

/// What the handlers need.
#[derive(Debug)]
pub struct Server {
    pub clients: Clients,
    pub driver: Driver,
    pub metrics: Arc<Metrics>,
    /// An operator has asked for the end.
    pub told_to_stop: CancellationToken,
}
