//! Who is told what happens: the metrics count it, and the audit trail writes it down.

use std::sync::Arc;

use super::Refusal;
use crate::audit::{Audit, Cost, Event, pages_of};
use crate::metrics::{CaptchaOutcome, Metrics};
use crate::protocol::answer::price_of;
use crate::protocol::ids::CaptchaId;
use crate::protocol::methods::Method;
use crate::protocol::poll::Verdict;
use crate::protocol::submit::Upload;

/// The metrics and the audit trail.
#[derive(Clone, Debug)]
pub struct Witnesses {
    pub metrics: Arc<Metrics>,
    pub audit: Audit,
}

/// Nothing is written down.
impl From<Arc<Metrics>> for Witnesses {
    fn from(metrics: Arc<Metrics>) -> Self {
        Self { metrics, audit: Audit::off() }
    }
}

/// What an upload was, for a refusal that comes when it is gone.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub method: Method,
    pages: Vec<String>,
}

/// An upload's line: it was taken, or nobody knows (`captcha` is none).
pub(super) fn uploaded(audit: &Audit, client: &str, upload: &Upload, captcha: Option<CaptchaId>) {
    audit.note(|| {
        let (client, method, pages) = (client.to_owned(), upload.method.label(), pages_of(upload.fields()));
        match captcha {
            Some(captcha) => Event::Uploaded { client, captcha, method, pages },
            None => Event::Unknown { client, method, pages },
        }
    });
}

/// A captcha's end; with what its answer cost, if there was one.
pub(super) fn ended(
    audit: &Audit,
    (client, captcha, method): (&str, CaptchaId, Method),
    outcome: CaptchaOutcome,
    cost: Option<super::cost::Cost>,
) {
    audit.note(|| {
        let cost = match outcome {
            CaptchaOutcome::Expired => None,
            CaptchaOutcome::Failed => Some(Cost::told(rust_decimal::Decimal::ZERO)),
            CaptchaOutcome::Solved => cost.map(Cost::from),
        };
        let (client, method, outcome) = (client.to_owned(), method.label(), outcome.label());
        Event::Ended { client, captcha, method, outcome, cost }
    });
}

/// A price that came after the answer.
pub(super) fn priced(audit: &Audit, captcha: CaptchaId, price: &str) {
    if let Some(usd) = price_of(price) {
        audit.note(|| Event::Priced { captcha, cost: Cost::told(usd) });
    }
}

pub(super) fn reported(
    audit: &Audit,
    client: &str,
    captcha: CaptchaId,
    verdict: Verdict,
    outcome: &'static str,
) {
    audit.note(|| Event::Reported { client: client.to_owned(), captcha, verdict: verdict.action(), outcome });
}

/// A refusal by the client's own settings; others are no matter of policy.
pub(super) fn refused(audit: &Audit, client: &str, upload: Option<&Described>, refusal: &Refusal) {
    let rule = match refusal {
        Refusal::Denied(denied) => denied.rule().label(),
        Refusal::TooFast => "rate",
        _ => return,
    };
    audit.refused(client, rule, || Event::Refused {
        client: client.to_owned(),
        rule,
        method: upload.map(|upload| upload.method.label()),
        pages: upload.map(|upload| upload.pages.clone()).unwrap_or_default(),
    });
}

impl Described {
    /// The pages are read only if somebody will read of them.
    pub fn of(audit: &Audit, upload: &Upload) -> Self {
        let pages = if audit.is_on() { pages_of(upload.fields()) } else { Vec::new() };
        Self { method: upload.method, pages }
    }
}
