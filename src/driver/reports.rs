//! Passes a client's report of a captcha on, once (protocol.md 3.1).

use std::sync::Arc;

use super::answers::{Answers, Report};
use super::gate::{Gate, NotDone};
use super::keeper::Keeper;
use super::tasks::Tasks;
use super::witnesses;
use crate::audit::Audit;
use crate::clock::Clock;
use crate::engine::refusal::CallKind as Asked;
use crate::metrics::Metrics;
use crate::protocol::errors::Code;
use crate::protocol::ids::CaptchaId;
use crate::protocol::poll::Verdict;
use crate::store::Change;
use crate::upstream::Call;

/// Why a report was not recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReported {
    /// Not this client's captcha, or too old.
    WrongCaptcha,
    /// Reported already, the other way or at this moment.
    Duplicate,
    /// The upstream's own code.
    Upstream(Code),
    /// It may be tried again.
    NotNow(&'static str),
}

/// Passes reports on.
#[derive(Clone, Debug)]
pub struct Reports {
    pub clock: Clock,
    pub gate: Arc<Gate>,
    pub keeper: Arc<Keeper>,
    pub answers: Arc<Answers>,
    pub metrics: Arc<Metrics>,
    pub audit: Audit,
    pub tasks: Tasks,
}

impl Reports {
    /// Reports `client`'s captcha. The same report again is told the same, without a call.
    ///
    /// # Errors
    /// [`NotReported`].
    pub async fn report(
        &self,
        client: &Arc<str>,
        id: CaptchaId,
        verdict: Verdict,
    ) -> Result<(), NotReported> {
        match self.answers.begin_report(id, client) {
            Ok(()) => {}
            Err(None) => return Err(NotReported::WrongCaptcha),
            Err(Some(Report::Recorded(known))) if known == verdict => return Ok(()),
            Err(Some(Report::Refused(code))) => return Err(NotReported::Upstream(code)),
            Err(Some(_)) => return Err(NotReported::Duplicate),
        }
        let (reports, name) = (self.clone(), Arc::clone(client));
        // A task of its own: a client that hangs up does not leave the report half made.
        let sent = self.tasks.spawn(async move { reports.send(&name, id, verdict).await });
        sent.await.ok().flatten().unwrap_or(Err(NotReported::NotNow("the gateway is stopping")))
    }

    async fn send(&self, client: &str, id: CaptchaId, verdict: Verdict) -> Result<(), NotReported> {
        let result = self.send_once(id, verdict).await;
        let report = match &result {
            Ok(()) => Some(Report::Recorded(verdict)),
            // The upstream's last word: to ask again would only cost a call.
            Err(NotReported::Upstream(code)) => Some(Report::Refused(code.clone())),
            Err(_) => None,
        };
        if result.is_ok() {
            self.keeper.keep(Change::Reported { id, verdict, at: self.clock.now() }).await;
        }
        self.answers.end_report(id, report);
        let outcome = if result.is_ok() { "recorded" } else { "refused" };
        self.metrics.reported(client, verdict.action(), outcome);
        witnesses::reported(&self.audit, client, id, verdict, outcome);
        tracing::info!(%client, captcha = %id, verdict = verdict.action(), outcome, "captcha reported");
        result
    }

    async fn send_once(&self, id: CaptchaId, verdict: Verdict) -> Result<(), NotReported> {
        let call = Call::Report { id, verdict };
        let ticket = self.gate.admit(Asked::Report).map_err(|refusal| {
            self.metrics.refused(call.kind(), refusal.why.label());
            NotReported::NotNow("calls to the upstream wait; try again later")
        })?;
        // `OK_REPORT_RECORDED`; who answers anything else in text has not recorded it.
        self.gate.send_for_ok(ticket, call).await.map_err(|not_done| match not_done {
            NotDone::Code(code) if code.known().is_none_or(|code| !code.is_about_account()) => {
                NotReported::Upstream(code)
            }
            NotDone::Code(_) | NotDone::Garbage | NotDone::NoReply(_) => {
                NotReported::NotNow("the upstream did not take the report; try again later")
            }
        })
    }
}
