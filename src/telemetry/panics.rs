//! A panic in one line of the log: where, and never what was said, for that can hold what a client or the upstream sent.

use std::panic::{self, PanicHookInfo};
use std::thread;

/// From now on panics are logged, and nothing of them is printed elsewhere.
pub fn log() {
    panic::set_hook(Box::new(logged));
}

fn logged(info: &PanicHookInfo<'_>) {
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let thread = thread::current().name().unwrap_or("a thread without a name").to_owned();
    tracing::error!(%place, %thread, "a panic: this is a fault of capgate");
}
