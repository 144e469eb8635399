//! capgate: a self-hosted gateway for the 2Captcha API.
//!
//! A client's upload arrives in [`server`], is decoded and checked by [`protocol`], waits for its turn in
//! [`engine::fair_queue`], which [`driver::submitter`] gives when [`engine::admission`] allows it, goes out through
//! [`upstream`], and is kept by the [`store`] before its client reads `OK|id`.
//!
//! From then on [`engine::polling`] decides when it is looked at, and with which others; [`driver::poller`] carries
//! that out. A client's poll arrives in [`server`] and reads [`driver::answers`]: it never asks the upstream.
//!
//! [`config`] has every setting, [`metrics`] every metric, [`clients`] the callers, [`audit`] writes down who did what;
//! [`app`] wires all of it. The
//! [`simulator`] stands in for the upstream, in tests and in the sandbox.

pub mod app;
pub mod audit;
pub mod cli;
pub mod clients;
pub mod clock;
pub mod config;
pub mod driver;
pub mod engine;
pub mod metrics;
pub mod protocol;
pub mod receivers;
pub mod server;
pub mod simulator;
pub mod store;
pub mod telemetry;
pub mod upstream;
