//! The gateway itself: its connections, its store, its settings and its logs.

use std::time::Duration;

use prometheus::IntGauge;

use super::{Metrics, ReloadOutcome, seconds};
use crate::clock::Timestamp;

/// A client's connection, counted while it is open.
#[derive(Debug)]
pub struct OpenConnection(IntGauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// A client has connected; it is counted until what this returns is dropped.
    #[must_use]
    pub fn connection_opened(&self) -> OpenConnection {
        self.catalogue.client_connections.inc();
        OpenConnection(self.catalogue.client_connections.clone())
    }

    /// A client's connection was one too many.
    pub fn connection_refused(&self) {
        self.catalogue.client_connections_refused_total.inc();
    }

    /// Connections of clients that are open.
    #[must_use]
    pub fn connections_open(&self) -> i64 {
        self.catalogue.client_connections.get()
    }

    /// Lines that were left out of the logs because there were too many of their kind.
    pub fn log_lines_left_out(&self, lines: u64) {
        self.catalogue.log_lines_left_out_total.with_label_values(&["sampled"]).inc_by(lines);
    }

    /// How many lines have had no place in the logs so far.
    pub fn log_lines_without_place(&self, so_far: u64) {
        let counter = self.catalogue.log_lines_left_out_total.with_label_values(&["no_place"]);
        counter.inc_by(so_far.saturating_sub(counter.get()));
    }

    /// The settings were read at the start.
    pub fn settings_read(&self, now: Timestamp) {
        for outcome in ReloadOutcome::ALL {
            self.catalogue.config_reloads_total.with_label_values(&[outcome.label()]).inc_by(0);
        }
        self.show_settings_read(now);
        self.log_lines_left_out(0);
        self.log_lines_without_place(0);
    }

    /// The settings were read again.
    pub fn reloaded(&self, outcome: ReloadOutcome, now: Timestamp) {
        self.catalogue.config_reloads_total.with_label_values(&[outcome.label()]).inc();
        match outcome {
            ReloadOutcome::Applied | ReloadOutcome::Unchanged => self.show_settings_read(now),
            ReloadOutcome::Faulty => self.catalogue.config_last_reload_successful.set(0),
        }
    }

    fn show_settings_read(&self, now: Timestamp) {
        self.catalogue.config_last_reload_successful.set(1);
        self.catalogue.config_last_reload_success_timestamp_seconds.set(seconds(now));
    }

    pub fn store_is_up(&self, is_up: bool) {
        self.catalogue.store_up.set(is_up.into());
    }

    /// A call to the admin listener was refused.
    pub fn admin_refused(&self, reason: &'static str) {
        self.catalogue.admin_refusals_total.with_label_values(&[reason]).inc();
    }

    /// The handler of a client's call panicked.
    pub fn call_panicked(&self) {
        self.catalogue.panics_total.with_label_values(&["call"]).inc();
    }

    /// How many of the driver's tasks have panicked so far.
    pub fn tasks_panicked(&self, so_far: u64) {
        let counter = self.catalogue.panics_total.with_label_values(&["task"]);
        counter.inc_by(so_far.saturating_sub(counter.get()));
    }

    /// A line was added to the audit trail.
    pub fn audit_line_written(&self) {
        self.catalogue.audit_lines_total.inc();
    }

    pub fn audit_lines_lost(&self, lines: u64) {
        self.catalogue.audit_lines_lost_total.inc_by(lines);
    }

    pub fn audit_is_up(&self, is_up: bool) {
        self.catalogue.audit_up.with_label_values::<&str>(&[]).set(if is_up { 1.0 } else { 0.0 });
    }

    /// Somebody may look at how many were refused for this reason before the first was.
    pub fn admin_may_refuse(&self, reason: &'static str) {
        self.catalogue.admin_refusals_total.with_label_values(&[reason]).inc_by(0);
    }

    pub fn store_failed(&self) {
        self.catalogue.store_failures_total.inc();
    }

    /// The store was handed a change; `took` is the time until it was durable, or refused.
    pub fn store_took(&self, took: Duration) {
        self.catalogue.store_commit_seconds.with_label_values::<&str>(&[]).observe(took.as_secs_f64());
    }
}
