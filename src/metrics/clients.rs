//! What clients do, and what becomes of it.

use std::time::Duration;

use prometheus::IntCounter;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::labels::{ClientCall, CostBasis, Served};
use super::{CaptchaOutcome, Metrics, PollOutcome, StrangerAnswered, UploadOutcome, gauge};
use crate::protocol::methods::Method;

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

/// One client's counters, looked up once: polls are the hot path.
#[derive(Clone, Debug)]
pub struct ClientCounters {
    polls: [[IntCounter; Served::ALL.len()]; PollOutcome::ALL.len()],
    calls: [IntCounter; ClientCall::ALL.len()],
}

impl ClientCounters {
    /// The client made a call.
    pub fn called(&self, call: ClientCall) {
        self.calls[call as usize].inc();
    }

    /// It was told this of one captcha.
    pub fn polled(&self, outcome: PollOutcome, served: Served) {
        self.polls[outcome as usize][served as usize].inc();
    }
}

impl Metrics {
    /// The counters of one client's calls.
    #[must_use]
    pub fn client_counters(&self, client: &str) -> ClientCounters {
        self.may_refuse(client, "queue_full");
        let (numbers, client) = (&self.catalogue, self.clients.of(client));
        let poll = |outcome: PollOutcome, served: Served| {
            numbers.polls_total.with_label_values(&[client, outcome.label(), served.label()])
        };
        ClientCounters {
            polls: PollOutcome::ALL.map(|outcome| Served::ALL.map(|served| poll(outcome, served))),
            calls: ClientCall::ALL
                .map(|call| numbers.client_calls_total.with_label_values(&[client, call.label()])),
        }
    }

    /// A call came with a key that is no client's.
    pub fn stranger_called(&self, page: &'static str, answered: StrangerAnswered) {
        self.catalogue.strangers_total.with_label_values(&[page, answered.label()]).inc();
    }

    pub fn upload_ended(&self, client: &str, method: Method, outcome: UploadOutcome, took: Duration) {
        let [client, method] = self.clients.with_method(client, method);
        self.catalogue.uploads_total.with_label_values(&[client, method, outcome.label()]).inc();
        self.catalogue.upload_seconds.with_label_values(&[outcome.label()]).observe(took.as_secs_f64());
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

    /// An upload left the queue, with its turn or without.
    pub fn upload_waited(&self, client: &str, method: Method, waited: Duration) {
        let labels = self.clients.with_method(client, method);
        self.catalogue.upload_wait_seconds.with_label_values(&labels).observe(waited.as_secs_f64());
    }

    /// A client waits for one captcha more; [`Self::captcha_ended`] is its end.
    pub fn captcha_opened(&self, client: &str, method: Method) {
        let labels = self.clients.with_method(client, method);
        self.catalogue.client_captchas_open.with_label_values(&labels).inc();
    }

    pub fn answered(&self, client: &str, method: Method, delay: Duration) {
        let labels = self.clients.with_method(client, method);
        self.catalogue.answer_delay_seconds.with_label_values(&labels).observe(delay.as_secs_f64());
    }

    /// An answer came that costs so much, in USD.
    pub fn cost(&self, client: &str, method: Method, usd: Decimal, basis: CostBasis) {
        let [client, method] = self.clients.with_method(client, method);
        let counter = self.catalogue.cost_usd_total.with_label_values(&[client, method, basis.label()]);
        counter.inc_by(usd.to_f64().unwrap_or_default().max(0.0));
    }

    pub fn captcha_ended(&self, client: &str, method: Method, outcome: CaptchaOutcome, took: Duration) {
        let pair @ [client, method] = self.clients.with_method(client, method);
        self.catalogue.captchas_ended_total.with_label_values(&[client, method, outcome.label()]).inc();
        self.catalogue.client_captchas_open.with_label_values(&pair).dec();
        if outcome == CaptchaOutcome::Solved {
            self.catalogue.solve_seconds.with_label_values(&pair).observe(took.as_secs_f64());
        }
    }

    /// So many polls more, or fewer, wait for an answer.
    pub fn poll_held(&self, change: i64) {
        self.catalogue.polls_held.add(change);
    }

    pub fn polls_held_limit(&self, most: usize) {
        self.catalogue.polls_held_limit.set(gauge(most));
    }

    pub fn upload_refused(&self, client: &str, reason: &'static str) {
        self.catalogue.upload_refusals_total.with_label_values(&[self.clients.of(client), reason]).inc();
    }

    /// An alert compares the refusals for this reason with what they were, so they must be there before the first.
    pub fn may_refuse(&self, client: &str, reason: &'static str) {
        let labels = [self.clients.of(client), reason];
        self.catalogue.upload_refusals_total.with_label_values(&labels).inc_by(0);
    }

    /// What clients may do and spend at present; what is not among `standings` any more is no longer shown, and neither
    /// are limits of clients without a label of their own: each of them has another.
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
            let client = standing.client;
            if !self.clients.has(client) {
                continue;
            }
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
        let client = self.clients.of(client);
        self.catalogue.pingbacks_open.with_label_values(&[client]).set(gauge(count));
        // There from the first on: an increase can only be seen of what was there before.
        self.catalogue.pingbacks_total.with_label_values(&[client, "dead"]).inc_by(0);
    }

    pub fn pingbacks_dead(&self, count: usize) {
        self.catalogue.pingbacks_dead.set(gauge(count));
    }
}
