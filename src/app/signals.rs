//! What the process is told by signals.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// SIGXFSZ: a file has reached the limit that `ulimit -f` set.
const FILE_TOO_LARGE: i32 = 25;

/// The signals, watched from the moment on that this exists.
#[derive(Debug)]
pub struct Signals {
    stop: CancellationToken,
    stop_again: CancellationToken,
    /// Holds one that nobody has waited for yet: several before that are one.
    reload: Arc<Notify>,
}

impl Signals {
    /// # Errors
    /// When signals cannot be watched.
    pub fn watch() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        // From now on the write fails instead, and the store says so. Its default would end the process.
        drop(signal(SignalKind::from_raw(FILE_TOO_LARGE))?);
        let (stop, stop_again) = (CancellationToken::new(), CancellationToken::new());
        let reload = Arc::new(Notify::new());
        let (first, second, asked) = (stop.clone(), stop_again.clone(), Arc::clone(&reload));
        // Ends with the process.
        actix_web::rt::spawn(async move {
            loop {
                let name = next(&mut terminate, &mut interrupt, &mut hangup).await;
                match name {
                    "SIGHUP" => asked.notify_one(),
                    _ if first.is_cancelled() => second.cancel(),
                    _ => {
                        tracing::info!(signal = name, "stopping: calls under way may end");
                        first.cancel();
                    }
                }
            }
        });
        Ok(Self { stop, stop_again, reload })
    }

    /// Resolves at SIGHUP.
    pub async fn told_to_reload(&self) {
        self.reload.notified().await;
    }

    /// Resolves at the first SIGTERM or SIGINT.
    pub async fn told_to_stop(&self) {
        self.stop.cancelled().await;
    }

    /// Resolves at the second one.
    pub async fn told_again(&self) {
        self.stop_again.cancelled().await;
    }
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal, hangup: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        _ = hangup.recv() => "SIGHUP",
    }
}
