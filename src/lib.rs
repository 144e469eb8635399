//! capgate: a self-hosted gateway for the 2Captcha API.
pub mod cli;
pub mod clock;
pub mod config;
pub mod engine;
pub mod protocol;
pub mod simulator;
