//! Every metric, in one catalogue; call sites say what happened, not how it is counted.

mod catalogue;
mod client_labels;
mod labels;
mod numbers;

use std::time::Duration;

use prometheus::{IntCounter, IntGauge, Registry, TextEncoder};

use crate::clock::Timestamp;
use crate::protocol::errors::{Code, ErrorCode, Reaction};
use crate::protocol::methods::Method;
use crate::upstream::CallKind;
use catalogue::catalogue;
use client_labels::ClientLabels;

pub use catalogue::Row;
pub use client_labels::{CLIENTS_MAX, OTHER};
pub use labels::{CallOutcome, CaptchaOutcome, PollOutcome, ReloadOutcome, UploadOutcome};
pub use numbers::{ClientNumbers, Numbers};

/// Solve times run from a second to five minutes (protocol.md 3.5: workers have 90 s, or 300 s).
const SOLVE_SECONDS: &[f64] =
    &[1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0];
/// A reply of the upstream takes from a millisecond (a simulator) to the time-out.
const LATENCY_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// An answer waits for the next look: from a simulator's interval to the 15 minutes that it lives.
const DELAY_SECONDS: &[f64] =
    &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0];
/// Ids in one look.
const BATCH_IDS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 100.0];

catalogue! {
    /// Uploads by clients that ended, by how.
    uploads_total: IntCounterVec["client", "method", "outcome"];
    /// Uploads waiting for their turn.
    uploads_waiting: IntGauge[];
    /// Uploads of a client waiting for their turn.
    client_uploads_waiting: IntGaugeVec["client"];
    /// How many uploads may wait at once; one more is refused.
    uploads_waiting_limit: IntGauge[];
    /// Time that an upload waited for its turn, in seconds.
    upload_wait_seconds: HistogramVec["client"] in LATENCY_SECONDS;
    /// Time that an upload took from its arrival to its reply, in seconds.
    upload_seconds: HistogramVec["outcome"] in LATENCY_SECONDS;
    /// Connections of clients that are open, by http and https.
    client_connections: IntGauge[];
    /// Connections of clients that were refused: too many, of all or of one address.
    client_connections_refused_total: IntCounter [];
    /// Captchas asked for in clients' polls, by what they were told; all of them from memory.
    polls_total: IntCounterVec["client", "outcome"];
    /// Polls that wait for an answer.
    polls_held: IntGauge[];
    /// How many polls may wait at once; one more is answered at once.
    polls_held_limit: IntGauge[];
    /// Captchas that ended, by how.
    captchas_ended_total: IntCounterVec["client", "method", "outcome"];
    /// Captchas that the upstream is working on.
    captchas_open: IntGauge[];
    /// Captchas that a client waits for.
    client_captchas_open: IntGaugeVec["client"];
    /// How many captchas a client may have open at once, where it has such a limit.
    client_captchas_open_limit: IntGaugeVec["client"];
    /// What a client may spend in a day or month, in USD, where it has such a budget.
    client_budget_limit_usd: GaugeVec["client", "period"];
    /// What is left of it; what is under way counts as spent.
    client_budget_left_usd: GaugeVec["client", "period"];
    /// How many captchas a client may upload in a day or month, where it has such a budget.
    client_budget_limit_captchas: GaugeVec["client", "period"];
    /// How many of them are left.
    client_budget_left_captchas: GaugeVec["client", "period"];
    /// The part of a budget from which on its rest is said to run out.
    client_budget_warning_ratio: GaugeVec["client"];
    /// 1 while a client may not upload, because it was stopped or its last day is over.
    client_stopped: IntGaugeVec["client"];
    /// What answers cost, in USD; the upstream tells it only where a client asks with get2.
    cost_usd_total: CounterVec["client", "method"];
    /// Longest that an answer can have lain at the upstream: time since the look before, or since the first was allowed.
    answer_delay_seconds: HistogramVec["client"] in DELAY_SECONDS;
    /// Time from the upload to the answer being known here, in seconds.
    solve_seconds: HistogramVec["method"] in SOLVE_SECONDS;
    /// Calls to the upstream that ended, by kind and outcome.
    upstream_calls_total: IntCounterVec["call", "outcome"];
    /// Time that calls to the upstream took, in seconds.
    upstream_call_seconds: HistogramVec["call"] in LATENCY_SECONDS;
    /// Answers of the upstream that say that it has locked us out, by code.
    blocks_total: IntCounterVec["code"];
    /// Money on the account when it was last asked for, in USD.
    upstream_balance_usd: GaugeVec[];
    /// How busy the upstream was when load.php was last asked, from 0 to 1.
    upstream_load_ratio: GaugeVec[];
    /// The lowest bid for 1,000 images when load.php was last asked, in USD.
    upstream_minimum_bid_usd: GaugeVec[];
    /// Ids in one look, fences among them.
    look_ids: HistogramVec["call"] in BATCH_IDS;
    /// Ids in looks whose answers were known: they stand between others, so that it is certain which piece is whose.
    fences_total: IntCounter[];
    /// Most captchas in one look at present.
    batch_size: IntGauge[];
    /// Calls that were not sent because a budget or a block forbade it, by call and reason.
    refusals_total: IntCounterVec["call", "reason"];
    /// Uploads that got no id, by client and reason: a block rule, a wait, or the upload itself.
    upload_refusals_total: IntCounterVec["client", "reason"];
    /// Calls that a budget refused and that went all the same, because `budget.mode` is `observe`.
    observed_refusals_total: IntCounterVec["reason"];
    /// Most that a block rule's budget allows, by rule.
    budget_limit: IntGaugeVec["rule"];
    /// What is spent of a block rule's budget, calls in flight counted as the bad case.
    budget_used: IntGaugeVec["rule"];
    /// What is left of a block rule's budget.
    budget_left: IntGaugeVec["rule"];
    /// When more of a block rule's budget is left by itself, in seconds since 1970.
    budget_until_timestamp_seconds: GaugeVec["rule"];
    /// Until when calls wait, in seconds since 1970, by reason; infinite for a refused key, 0 for what is over.
    wait_until_timestamp_seconds: GaugeVec["reason"];
    /// Reports passed on to the upstream, by verdict and outcome.
    reports_total: IntCounterVec["client", "verdict", "outcome"];
    /// Outcomes of captchas that were to be pushed to a client's receiver, by how that ended.
    pingbacks_total: IntCounterVec["client", "outcome"];
    /// Attempts to push an outcome to a client's receiver, by how they ended.
    pingback_attempts_total: IntCounterVec["client", "outcome"];
    /// Pingbacks that a client waits for: its captcha is open, or the push was not taken yet.
    pingbacks_open: IntGaugeVec["client"];
    /// Pingbacks that were given up and are in the list of the dead.
    pingbacks_dead: IntGauge[];
    /// Time from an outcome being known to its receiver taking it, in seconds.
    pingback_delay_seconds: HistogramVec["client"] in DELAY_SECONDS;
    /// 1 while the store takes changes, 0 while it does not and nothing is bought.
    store_up: IntGauge[];
    /// Changes that the store could not keep.
    store_failures_total: IntCounter[];
    /// Lines left out of the logs: `sampled`, too many of a kind in a second; `no_place`, written too slowly.
    log_lines_left_out_total: IntCounterVec["reason"];
    /// Times that the settings were read again, by outcome: `applied`, `unchanged`, or `faulty`, which changes nothing.
    config_reloads_total: IntCounterVec["outcome"];
    /// 1 while the settings in force are the last that were read; 0 when those had a fault.
    config_last_reload_successful: IntGauge[];
    /// When the settings in force were read, in seconds since 1970.
    config_last_reload_success_timestamp_seconds: Gauge[];
    /// 1, labelled with the version that is running.
    build_info: IntGaugeVec["version"];
}

/// All metrics of the process.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    catalogue: Catalogue,
    clients: ClientLabels,
}

/// A client's connection, counted while it is open.
#[derive(Debug)]
pub struct OpenConnection(IntGauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What one client may do and spend at present.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    pub client: &'a str,
    pub is_stopped: bool,
    pub open_limit: Option<u32>,
    pub budgets: Vec<Budget>,
    /// The part of a budget from which on its rest is said to run out.
    pub warning: f64,
}

/// A client's budget, in USD or captchas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    pub is_usd: bool,
    pub period: &'static str,
    pub limit: f64,
    pub left: f64,
}

/// One client's poll counters, looked up once: polls are the hot path.
#[derive(Clone, Debug)]
pub struct PollCounters([IntCounter; 4]);

impl PollCounters {
    pub fn count(&self, outcome: PollOutcome) {
        self.0[outcome as usize].inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let catalogue = Catalogue::registered(&registry);
        #[cfg(target_os = "linux")]
        registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("no metric of the catalogue is named process_*");
        catalogue.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        // Alerts compare these with what they were, so they must be there before the first.
        for code in ErrorCode::ALL.iter().filter(|code| matches!(code.reaction(), Reaction::WaitOutBlock(_)))
        {
            catalogue.blocks_total.with_label_values(&[code.as_str()]).inc_by(0);
        }
        catalogue.blocks_total.with_label_values(&[OTHER]).inc_by(0);
        Self { registry, catalogue, clients: ClientLabels::default() }
    }
}

impl Metrics {
    /// The counters for one client's polls.
    #[must_use]
    pub fn poll_counters(&self, client: &str) -> PollCounters {
        self.may_refuse(client, "queue_full");
        let (polls, client) = (&self.catalogue.polls_total, self.clients.of(client));
        PollCounters(PollOutcome::ALL.map(|outcome| polls.with_label_values(&[client, outcome.label()])))
    }

    pub fn upload_ended(&self, client: &str, method: Method, outcome: UploadOutcome, took: Duration) {
        let labels = [self.clients.of(client), method.label(), outcome.label()];
        self.catalogue.uploads_total.with_label_values(&labels).inc();
        self.catalogue.upload_seconds.with_label_values(&[outcome.label()]).observe(took.as_secs_f64());
    }

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

    pub fn uploads_waiting(&self, count: usize) {
        self.catalogue.uploads_waiting.set(gauge(count));
    }

    /// One upload more of a client waits for its turn; [`Self::upload_unqueued`] is its end.
    pub fn upload_queued(&self, client: &str) {
        self.catalogue.client_uploads_waiting.with_label_values(&[self.clients.of(client)]).inc();
    }

    pub fn upload_unqueued(&self, client: &str) {
        self.catalogue.client_uploads_waiting.with_label_values(&[self.clients.of(client)]).dec();
    }

    pub fn uploads_waiting_limit(&self, most: usize) {
        self.catalogue.uploads_waiting_limit.set(gauge(most));
    }

    /// An upload got its turn.
    pub fn upload_turn(&self, client: &str, waited: Duration) {
        let client = self.clients.of(client);
        self.catalogue.upload_wait_seconds.with_label_values(&[client]).observe(waited.as_secs_f64());
    }

    /// A client waits for one captcha more; [`Self::captcha_ended`] is its end.
    pub fn captcha_opened(&self, client: &str) {
        self.catalogue.client_captchas_open.with_label_values(&[self.clients.of(client)]).inc();
    }

    pub fn answered(&self, client: &str, delay: Duration) {
        let client = self.clients.of(client);
        self.catalogue.answer_delay_seconds.with_label_values(&[client]).observe(delay.as_secs_f64());
    }

    /// The upstream told a price. What is no amount of money is not counted.
    pub fn cost(&self, client: &str, method: Method, price: &str) {
        if let Some(usd) = price.parse().ok().filter(|usd: &f64| usd.is_finite() && *usd >= 0.0) {
            let labels = [self.clients.of(client), method.label()];
            self.catalogue.cost_usd_total.with_label_values(&labels).inc_by(usd);
        }
    }

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

    pub fn captcha_ended(&self, client: &str, method: Method, outcome: CaptchaOutcome, took: Duration) {
        let labels = [self.clients.of(client), method.label(), outcome.label()];
        self.catalogue.captchas_ended_total.with_label_values(&labels).inc();
        self.catalogue.client_captchas_open.with_label_values(&labels[..1]).dec();
        if outcome == CaptchaOutcome::Solved {
            self.catalogue.solve_seconds.with_label_values(&[method.label()]).observe(took.as_secs_f64());
        }
    }

    /// So many polls more, or fewer, wait for an answer.
    pub fn poll_held(&self, change: i64) {
        self.catalogue.polls_held.add(change);
    }

    pub fn polls_held_limit(&self, most: usize) {
        self.catalogue.polls_held_limit.set(gauge(most));
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

    pub fn upload_refused(&self, client: &str, reason: &'static str) {
        self.catalogue.upload_refusals_total.with_label_values(&[self.clients.of(client), reason]).inc();
    }

    /// An alert compares the refusals for this reason with what they were, so they must be there before the first.
    pub fn may_refuse(&self, client: &str, reason: &'static str) {
        let labels = [self.clients.of(client), reason];
        self.catalogue.upload_refusals_total.with_label_values(&labels).inc_by(0);
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

    /// What clients may do and spend at present; what is not among `standings` any more is no longer shown.
    pub fn clients(&self, standings: &[Standing<'_>]) {
        let numbers = &self.catalogue;
        numbers.client_captchas_open_limit.reset();
        numbers.client_budget_warning_ratio.reset();
        numbers.client_stopped.reset();
        let usd = (&numbers.client_budget_limit_usd, &numbers.client_budget_left_usd);
        let captchas = (&numbers.client_budget_limit_captchas, &numbers.client_budget_left_captchas);
        for gauges in [usd, captchas] {
            gauges.0.reset();
            gauges.1.reset();
        }
        for standing in standings {
            let client = self.clients.of(standing.client);
            numbers.client_stopped.with_label_values(&[client]).set(standing.is_stopped.into());
            if let Some(limit) = standing.open_limit {
                numbers.client_captchas_open_limit.with_label_values(&[client]).set(limit.into());
            }
            for budget in &standing.budgets {
                let (limit, left) = if budget.is_usd { usd } else { captchas };
                limit.with_label_values(&[client, budget.period]).set(budget.limit);
                left.with_label_values(&[client, budget.period]).set(budget.left);
                numbers.client_budget_warning_ratio.with_label_values(&[client]).set(standing.warning);
            }
        }
    }

    pub fn reported(&self, client: &str, verdict: &'static str, outcome: &'static str) {
        self.catalogue.reports_total.with_label_values(&[self.clients.of(client), verdict, outcome]).inc();
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

    /// A receiver was called; `outcome` is one of a closed list.
    pub fn pingback_attempted(&self, client: &str, outcome: &'static str) {
        let labels = [self.clients.of(client), outcome];
        self.catalogue.pingback_attempts_total.with_label_values(&labels).inc();
    }

    /// A receiver took an outcome, so long after it was known.
    pub fn pingback_delivered(&self, client: &str, delay: Duration) {
        let client = self.clients.of(client);
        self.catalogue.pingbacks_total.with_label_values(&[client, "delivered"]).inc();
        self.catalogue.pingback_delay_seconds.with_label_values(&[client]).observe(delay.as_secs_f64());
    }

    pub fn pingback_given_up(&self, client: &str) {
        self.catalogue.pingbacks_total.with_label_values(&[self.clients.of(client), "dead"]).inc();
    }

    pub fn pingbacks_open(&self, client: &str, count: usize) {
        self.catalogue.pingbacks_open.with_label_values(&[self.clients.of(client)]).set(gauge(count));
    }

    pub fn pingbacks_dead(&self, count: usize) {
        self.catalogue.pingbacks_dead.set(gauge(count));
    }

    pub fn store_is_up(&self, is_up: bool) {
        self.catalogue.store_up.set(is_up.into());
    }

    pub fn store_failed(&self) {
        self.catalogue.store_failures_total.inc();
    }

    /// The exposition in Prometheus' text format.
    ///
    /// # Errors
    /// When a collector cannot be encoded.
    pub fn text(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 have 41 bits")]
fn seconds(moment: Timestamp) -> f64 {
    if moment == Timestamp::NEVER { f64::INFINITY } else { moment.as_millis() as f64 / 1_000.0 }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_shows_in_the_exposition() {
        let metrics = Metrics::default();
        metrics.upload_ended("team-a", Method::Image, UploadOutcome::Accepted, Duration::from_millis(20));
        metrics.poll_counters("team-a").count(PollOutcome::WrongId);
        metrics.call_ended(CallKind::LookBatch, CallOutcome::Mismatch, Duration::from_millis(20));
        let text = metrics.text().unwrap();
        for line in [
            r#"capgate_uploads_total{client="team-a",method="image",outcome="accepted"} 1"#,
            r#"capgate_polls_total{client="team-a",outcome="wrong_id"} 1"#,
            r#"capgate_polls_total{client="team-a",outcome="answer"} 0"#,
            r#"capgate_upstream_calls_total{call="look_batch",outcome="mismatch"} 1"#,
            "# HELP capgate_captchas_open Captchas that the upstream is working on.",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn money_and_blocks_are_told_and_what_is_not_known_is_not_invented() {
        let metrics = Metrics::default();
        let text = metrics.text().unwrap();
        assert!(text.contains(r#"capgate_blocks_total{code="ERROR: 1005"} 0"#), "{text}");
        assert!(!text.contains("capgate_upstream_balance_usd"), "nobody has asked for it yet\n{text}");
        metrics.blocked(&ErrorCode::Block1005.into());
        metrics.blocked(&Code::parse(b"ERROR: 1017").unwrap());
        for price in ["0.00299", "0.00299", "free", "-1", "inf", "NaN"] {
            metrics.cost("team-a", Method::Image, price);
        }
        metrics.balance(12.5);
        metrics.load(Some(25.0), None);
        let text = metrics.text().unwrap();
        for line in [
            r#"capgate_blocks_total{code="ERROR: 1005"} 1"#,
            r#"capgate_blocks_total{code="other"} 1"#,
            r#"capgate_cost_usd_total{client="team-a",method="image"} 0.00598"#,
            "capgate_upstream_balance_usd 12.5",
            "capgate_upstream_load_ratio 0.25",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("capgate_upstream_minimum_bid_usd"), "{text}");
    }

    #[test]
    fn counters_end_in_total_and_times_in_seconds() {
        for row in ROWS {
            assert_eq!(row.kind.contains("Counter"), row.name.ends_with("_total"), "{}", row.name);
        }
    }
}
