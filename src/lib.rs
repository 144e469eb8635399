//! capgate: a self-hosted gateway for the 2Captcha API.
pub mod cli;
pub mod clients;
pub mod clock;
pub mod config;
pub mod driver;
pub mod engine;
pub mod metrics;
pub mod protocol;
pub mod simulator;
pub mod store;
pub mod upstream;
