//! Pingback, both ways: what clients are told at their receivers, and what the upstream tells us.

mod deliveries;
mod hosts;
mod pushes;
mod restarts;

use crate::support::{Builder, Recorder, Reply, Say, TestGateway};

/// A gateway that may call receivers on this machine, and tries again soon.
fn near() -> Builder {
    TestGateway::builder().near()
}

/// A receiver that takes everything.
fn receiver() -> Recorder {
    Recorder::start(|_| Say::Text("OK".into()))
}

/// What a receiver was told: id and code of each call, in their order.
fn told(receiver: &Recorder) -> Vec<(String, String)> {
    receiver.calls().iter().map(|call| (call.parameter("id"), call.parameter("code"))).collect()
}

trait Registers {
    fn register(&self, address: &str) -> Reply;
}

impl Registers for TestGateway {
    #[track_caller]
    fn register(&self, address: &str) -> Reply {
        self.res(&crate::support::urlencoded(&[("action", "add_pingback"), ("addr", address)]))
    }
}
