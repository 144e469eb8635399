//! `capgate simulate`: the simulator alone.

use crate::simulator::{Options, run as simulate};

/// Runs until the process is told to stop.
///
/// # Errors
/// A switch out of bounds, or an address that cannot be bound.
pub(super) fn run(options: Options) -> anyhow::Result<()> {
    actix_web::rt::System::new().block_on(simulate(options))?;
    Ok(())
}
