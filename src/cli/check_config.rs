//! `capgate check-config`: all faults at once, each with its place, or the settings in force.

use std::io::Write;

use super::File;
use crate::clock::{Clock, Day};

pub(super) fn run(file: File) -> anyhow::Result<()> {
    let config = file.load(false)?;
    for warning in config.warnings(Day::of(Clock::system().now())) {
        eprintln!("capgate: warning: {warning}");
    }
    std::io::stdout().write_all(config.effective()?.as_bytes())?;
    Ok(())
}
