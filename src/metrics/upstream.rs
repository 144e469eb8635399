//! What goes to the upstream, what comes back, and what is held back.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;

use super::labels::ClientCall;
use super::{CallOutcome, Metrics, OTHER, PushOutcome, gauge, numbers, seconds};
use crate::clock::Timestamp;
use crate::protocol::errors::{Code, ErrorCode};
use crate::protocol::methods::Method;
use crate::upstream::CallKind;

impl Metrics {
    /// The upstream has locked us out; unknown codes share a label.
    pub fn blocked(&self, code: &Code) {
        let label = code.known().map_or(OTHER, ErrorCode::as_str);
        self.catalogue.blocks_total.with_label_values(&[label]).inc();
    }

    pub fn balance(&self, usd: f64) {
        self.catalogue.upstream_balance_usd.with_label_values::<&str>(&[]).set(usd);
    }

    /// What load.php told, each part where it was there.
    pub fn load(&self, percent: Option<f64>, minimum_bid_usd: Option<f64>) {
        let numbers = &self.catalogue;
        if let Some(percent) = percent {
            numbers.upstream_load_ratio.with_label_values::<&str>(&[]).set(percent / 100.0);
        }
        if let Some(bid) = minimum_bid_usd {
            numbers.upstream_minimum_bid_usd.with_label_values::<&str>(&[]).set(bid);
        }
    }

    /// So many pushes of the upstream ended like this.
    pub fn pushed(&self, outcome: PushOutcome, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.catalogue.pushes_total.with_label_values(&[outcome.label()]).inc_by(count);
    }

    pub fn pushes_wanted(&self, is_wanted: bool) {
        self.catalogue.pushes_wanted.set(is_wanted.into());
    }

    pub fn pushes_lost(&self, share: f64) {
        self.catalogue.pushes_lost_ratio.set(share);
    }

    pub fn pushes_registered(&self, is_registered: bool) {
        self.catalogue.pushes_registered.set(is_registered.into());
    }

    /// A method's captchas are expected to be solved within `time`, but for the rest beyond `part`.
    pub fn expected(&self, method: Method, part: &'static str, time: Duration) {
        let labels = [method.label(), part];
        self.catalogue.expected_solve_seconds.with_label_values(&labels).set(time.as_secs_f64());
    }

    pub fn polling(&self, open: usize, batch_size: usize) {
        self.catalogue.captchas_open.set(gauge(open));
        self.catalogue.batch_size.set(gauge(batch_size));
    }

    pub fn call_ended(&self, call: CallKind, outcome: CallOutcome, took: Duration) {
        self.catalogue.upstream_calls_total.with_label_values(&[call.label(), outcome.label()]).inc();
        self.catalogue.upstream_call_seconds.with_label_values(&[call.label()]).observe(took.as_secs_f64());
    }

    #[expect(clippy::cast_precision_loss, reason = "a batch has at most a thousand ids")]
    pub fn looked(&self, call: CallKind, ids: usize, fences: usize) {
        self.catalogue.look_ids.with_label_values(&[call.label()]).observe(ids as f64);
        self.catalogue.fences_total.inc_by(fences as u64);
    }

    pub fn refused(&self, call: CallKind, reason: &'static str) {
        self.catalogue.refusals_total.with_label_values(&[call.label(), reason]).inc();
    }

    /// Somebody may look at how many were let through for this reason before the first was.
    pub fn may_observe(&self, reason: &'static str) {
        self.catalogue.observed_refusals_total.with_label_values(&[reason]).inc_by(0);
    }

    pub fn would_refuse(&self, reason: &'static str) {
        self.catalogue.observed_refusals_total.with_label_values(&[reason]).inc();
    }

    /// A block rule's budget: its limit, what is used and what is left of it, and when more is left.
    pub fn budget(&self, rule: &'static str, [limit, used, left]: [u32; 3], until: Timestamp) {
        self.catalogue.budget_limit.with_label_values(&[rule]).set(limit.into());
        self.catalogue.budget_used.with_label_values(&[rule]).set(used.into());
        self.catalogue.budget_left.with_label_values(&[rule]).set(left.into());
        self.catalogue.budget_until_timestamp_seconds.with_label_values(&[rule]).set(seconds(until));
    }

    /// Everything that calls wait for at present, and until when.
    pub fn waits(&self, waits: impl Iterator<Item = (&'static str, Timestamp)>) {
        let gauges = &self.catalogue.wait_until_timestamp_seconds;
        for reason in ["no_slot", "zero_balance", "blocked", "key_refused"] {
            gauges.with_label_values(&[reason]).set(0.0);
        }
        for (reason, until) in waits {
            gauges.with_label_values(&[reason]).set(seconds(until));
        }
    }

    /// Counts what clients asked and the upstream did not have to be asked for. Looks at captchas from before a restart
    /// come before the polls that they save, so that it stands still then.
    pub(super) fn count_saved_calls(&self) {
        let sum = |collector: &dyn Collector, counts: &dyn Fn(&str) -> bool| -> u64 {
            let families = collector.collect();
            let rows = families.iter().flat_map(MetricFamily::get_metric);
            rows.filter(|row| counts(numbers::label(row, "call"))).map(numbers::value).sum()
        };
        let made = sum(&self.catalogue.client_calls_total, &|call| call != ClientCall::Upload.label());
        let elsewhere = [CallKind::Submit, CallKind::Load].map(CallKind::label);
        let sent = sum(&self.catalogue.upstream_calls_total, &|call| !elsewhere.contains(&call));
        let saved = &self.catalogue.saved_calls_total;
        saved.inc_by(made.saturating_sub(sent).saturating_sub(saved.get()));
    }
}
