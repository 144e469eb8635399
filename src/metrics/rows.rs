//! The catalogue: every metric of capgate's own.

use super::catalogue::{self, Row, catalogue};

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
    /// Time that an upload waited for its turn, or in vain, in seconds.
    upload_wait_seconds: HistogramVec["client", "method"] in LATENCY_SECONDS;
    /// Time that an upload took from its arrival to its reply, in seconds.
    upload_seconds: HistogramVec["outcome"] in LATENCY_SECONDS;
    /// Connections of clients that are open, by http and https.
    client_connections: IntGauge[];
    /// Connections of clients that were refused: too many, of all or of one address.
    client_connections_refused_total: IntCounter [];
    /// Calls that clients made, by kind; `poll` asks for one captcha, `poll_many` for several.
    client_calls_total: IntCounterVec["client", "call"];
    /// Calls with a key that is no client's, by page and how they were answered: `at_once`; `held` back, because many came
    /// from one address; or `closed`, at once and the connection with it, because too many were held back already.
    strangers_total: IntCounterVec["page", "answered"];
    /// Captchas asked for in clients' polls, by what they were told and how they were served: from memory `at_once`, or
    /// `held` until there was an answer or the wait was over.
    polls_total: IntCounterVec["client", "outcome", "served"];
    /// Polls that wait for an answer.
    polls_held: IntGauge[];
    /// How many polls may wait at once; one more is answered at once.
    polls_held_limit: IntGauge[];
    /// Captchas that ended, by how.
    captchas_ended_total: IntCounterVec["client", "method", "outcome"];
    /// Captchas that the upstream is working on.
    captchas_open: IntGauge[];
    /// Captchas that a client waits for.
    client_captchas_open: IntGaugeVec["client", "method"];
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
    /// What answers cost, in USD, counted once when they come: as the upstream `told` it with the answer, which it does where
    /// a client asks with get2, and else `estimated` with the settings' prices.
    cost_usd_total: CounterVec["client", "method", "basis"];
    /// Longest that an answer can have lain at the upstream: time since the look before, or since the first was allowed.
    answer_delay_seconds: HistogramVec["client", "method"] in DELAY_SECONDS;
    /// Time from the upload to the answer being known here, in seconds.
    solve_seconds: HistogramVec["client", "method"] in SOLVE_SECONDS;
    /// Time within which a part of a method's captchas is solved, as their looks have taught it, in seconds; the part is from 0 to 1.
    expected_solve_seconds: GaugeVec["method", "part"];
    /// Calls to the upstream that ended, by kind and outcome.
    upstream_calls_total: IntCounterVec["call", "outcome"];
    /// Time that calls to the upstream took, in seconds.
    upstream_call_seconds: HistogramVec["call"] in LATENCY_SECONDS;
    /// Calls to res.php that clients made and the upstream did not see.
    saved_calls_total: IntCounter[];
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
    /// When more of a block rule's budget is left by itself, in seconds since 1970; infinite where only uploads earn more.
    budget_until_timestamp_seconds: GaugeVec["rule"];
    /// Until when calls wait, in seconds since 1970, by reason; infinite for a refused key, 0 for what is over.
    wait_until_timestamp_seconds: GaugeVec["reason"];
    /// Reports passed on to the upstream, by verdict and outcome.
    reports_total: IntCounterVec["client", "verdict", "outcome"];
    /// Pushes by the upstream, by what came of them.
    pushes_total: IntCounterVec["outcome"];
    /// 1 while the settings have an address for the upstream to push answers to.
    pushes_wanted: IntGauge[];
    /// 1 while uploads ask the upstream to push their answers, 0 while it does not take our host or there is none.
    pushes_registered: IntGauge[];
    /// Share of the answers to be pushed that looks had to find, of the latest, from 0 to 1; 0.26 before the first. Above 0.25
    /// looks come as if nothing were pushed.
    pushes_lost_ratio: Gauge[];
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
    /// Time until a change was durable, in seconds.
    store_commit_seconds: HistogramVec[] in LATENCY_SECONDS;
    /// Changes that the store could not keep.
    store_failures_total: IntCounter[];
    /// Lines left out of the logs: `sampled`, too many of a kind in a second; `no_place`, written too slowly.
    log_lines_left_out_total: IntCounterVec["reason"];
    /// Lines that were added to the audit trail.
    audit_lines_total: IntCounter[];
    /// Lines of the audit trail that are lost, because its file took none for too long.
    audit_lines_lost_total: IntCounter[];
    /// 1 while the audit trail's file takes lines, 0 while it does not; not there without `audit.file`.
    audit_up: GaugeVec[];
    /// Times that the settings were read again, by outcome: `applied`, `unchanged`, or `faulty`, which changes nothing.
    config_reloads_total: IntCounterVec["outcome"];
    /// 1 while the settings in force are the last that were read; 0 when those had a fault.
    config_last_reload_successful: IntGauge[];
    /// When the settings in force were read, in seconds since 1970.
    config_last_reload_success_timestamp_seconds: Gauge[];
    /// Panics, which are faults of capgate: of a `call` by a client, or of a `task` of the driver. Others go on.
    panics_total: IntCounterVec["part"];
    /// Calls to the admin listener that were refused, by reason.
    admin_refusals_total: IntCounterVec["reason"];
    /// 1, labelled with the version that is running.
    build_info: IntGaugeVec["version"];
}
