//! Says how many lines were left out of the logs, so that nobody takes silence for peace.

use std::time::Duration;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::telemetry::Logs;

/// How often it is said.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Tells it, for ever.
pub(super) async fn tell_left_out(logs: &Logs, clock: Clock, metrics: &Metrics) {
    loop {
        clock.sleep(TOLD_EVERY).await;
        tell(logs, metrics);
    }
}

/// In one line, and in the metrics.
pub(super) fn tell(logs: &Logs, metrics: &Metrics) {
    let left_out = logs.left_out();
    if !left_out.is_empty() {
        let total: u64 = left_out.iter().map(|(_, count)| count).sum();
        let kinds: Vec<String> = left_out.iter().map(|(kind, count)| format!("{kind}: {count}")).collect();
        tracing::warn!(
            lines = total,
            kinds = kinds.join("; "),
            "lines were left out: more a second than log.lines_per_second"
        );
        metrics.log_lines_left_out(total);
    }
    metrics.log_lines_without_place(logs.without_place());
}
