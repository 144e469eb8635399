//! What the process is told by signals.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Watches signals from now on, and resolves at SIGTERM or SIGINT.
///
/// # Errors
/// When signals cannot be watched.
pub(super) fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        let name = loop {
            tokio::select! {
                _ = terminate.recv() => break "SIGTERM",
                _ = interrupt.recv() => break "SIGINT",
                // The signal's default would end the process.
                _ = hangup.recv() => tracing::warn!("SIGHUP: settings are read at the start only; restart to change them"),
            }
        };
        tracing::info!(signal = name, "stopping: no new connections; calls under way may end");
    })
}
