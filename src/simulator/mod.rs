//! A stand-in for the upstream: the whole v1 interface, its block rules and its bad days, without an account.
//!
//! `capgate simulate` runs it alone, `serve --sandbox` behind the gateway, the tests behind everything. Answers are a
//! function of the upload ([`answers`]), so a swapped answer is caught; every habit that the real service blocks for
//! is counted ([`block_rules`]); whatever can go wrong can be switched on ([`faults`], [`scenario`]).
//!
//! A call's path: [`server`] decodes it -> [`model`] decides, purely -> [`uploads`] checks -> [`captchas`] remembers
//! -> [`reply`] renders it, spoilt or not -> [`server`] sends it, or does not. What an upload wants pushed is planned in
//! [`pushes`], and told by the server to this machine only. [`state`] is what all of it came to.
//!
//! In-process, under a test's own clock:
//! ```
//! use capgate::clock::Timestamp;
//! use capgate::protocol::Form;
//! use capgate::simulator::{DEFAULT_KEY, Endpoint, Model, Scenario};
//!
//! let mut model = Model::new(Scenario::default(), Timestamp(0));
//! let upload = format!("key={DEFAULT_KEY}&method=userrecaptcha&googlekey=k&pageurl=http://p");
//! let form = Form::decode(&upload, &bytes::Bytes::new()).unwrap();
//! let reply = model.handle(Endpoint::InPhp, &form, Timestamp(1_000));
//! assert!(reply.body.starts_with(b"OK|"));
//! assert_eq!(model.state(Timestamp(2_000)).waiting, 1);
//! ```

pub mod answers;
pub mod block_rules;
pub mod captchas;
pub mod faults;
pub mod model;
pub mod options;
pub mod pushes;
pub mod random;
pub mod reply;
pub mod scenario;
pub mod server;
pub mod solving;
pub mod state;
#[cfg(test)]
mod support;
pub mod uploads;
pub mod values;

use std::io;

pub use answers::Answer;
pub use captchas::Captcha;
pub use faults::{Endpoint, FaultKind, FaultPoint, Rate};
pub use model::Model;
pub use options::{Options, Switches};
pub use pushes::Push;
pub use reply::{Fault, Reply};
pub use scenario::{BatchCountsAs, DEFAULT_KEY, Key, Scenario, ScenarioError};
pub use server::Simulator;
pub use solving::SolveTimes;
pub use state::State;
pub use values::{Money, Span};

use crate::protocol::{ErrorCode, Form};

/// Why the simulator did not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("switches: {0}")]
    Scenario(#[from] ScenarioError),
    #[error("the simulator cannot listen on its address")]
    Listen(#[from] io::Error),
}

/// `capgate simulate`: runs until the process is told to stop.
///
/// # Errors
/// When a switch is out of bounds or the address cannot be bound.
pub async fn run(options: Options) -> Result<(), RunError> {
    let simulator = Simulator::start(options.switches.scenario()?, options.listen)?;
    let url = simulator.url();
    println!("simulated upstream on {url}");
    println!(
        "GET {url}/state shows what it saw; POST {url}/scenario with JSON such as {{\"faults\":{{\"html\":0.1}}}} changes it"
    );
    told_to_stop().await?;
    simulator.stop().await;
    Ok(())
}

#[cfg(unix)]
async fn told_to_stop() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn told_to_stop() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// The answer that an upload will get, for tests that check what came back; `piped` as in the scenario.
///
/// # Errors
/// The code that the upload is refused with.
pub fn expected_answer(form: &Form, piped: f64) -> Result<Answer, ErrorCode> {
    let upload = uploads::Upload::read(form, Scenario::default().image_max_bytes)?;
    Ok(answers::answer(&upload, form, piped))
}
