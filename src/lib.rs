//! capgate: a self-hosted gateway for the 2Captcha API.
pub mod clock;
pub mod protocol;
pub mod simulator;
