//! Balance, statistics and load: one upstream call serves everybody who asks, and for a while those who ask later.

mod replies;
mod statistics;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use replies::{Replies, Reply};
use statistics::Hour;

use super::gate::{CallEnd, Gate};
use super::money::{Balance, Balances};
use super::readings::Readings;
use super::tasks::Tasks;
use crate::clock::Clock;
use crate::config::Live;
use crate::engine::admission::Ticket;
use crate::engine::refusal::{CallKind as Asked, Ended};
use crate::metrics::{CallOutcome, Metrics};
use crate::protocol::errors::Code;
use crate::protocol::reply::{Told, read_told};
use crate::upstream::{Call, UpstreamError};

/// Longest wait for the upstream's reply: httpx-based clients give up a call after 5 s.
const WAIT_MAX: Duration = Duration::from_millis(4_500);
/// Longest wait of a call for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(2);
/// How long a failure serves everybody: a dead page costs one call in this time.
const FAILURE_KEPT: Duration = Duration::from_secs(10);
/// Most bytes of statistics or load that are kept and passed on.
const PAGE_BYTES_MAX: usize = 1024 * 1024;

/// What is asked about the account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    Balance,
    /// Statistics of a day, `YYYY-MM-DD`.
    Stats(String),
    Load,
}

impl Question {
    fn call(&self) -> Call {
        match self {
            Self::Balance => Call::Balance,
            Self::Stats(date) => Call::Stats { date: date.clone() },
            Self::Load => Call::Load,
        }
    }

    /// Statistics and load are pages whose content we do not judge; a balance is a number.
    fn read(&self, body: &bytes::Bytes) -> Result<String, Failure> {
        if *self == Self::Balance {
            return match read_told(body) {
                Told::Text(text) if text.parse().is_ok_and(f64::is_finite) => Ok(text),
                Told::Code(code) => Err(Failure::Code(code)),
                Told::Text(_) | Told::Garbage => Err(Failure::NoAnswer("the upstream's reply is no balance")),
            };
        }
        let text = String::from_utf8_lossy(body.trim_ascii()).into_owned();
        if let Some(code) = Code::parse(text.as_bytes()) {
            return Err(Failure::Code(code));
        }
        let head = text.get(..64).unwrap_or(&text).to_ascii_lowercase();
        let is_page = text.is_empty() || head.starts_with("<!doctype html") || head.starts_with("<html");
        if is_page || text.len() > PAGE_BYTES_MAX {
            return Err(Failure::NoAnswer("the upstream's reply is an error page"));
        }
        Ok(text)
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("the upstream answered {0}")]
    Code(Code),
    #[error("{0}")]
    NoAnswer(&'static str),
    /// The call may not go now.
    #[error("{0}")]
    NotNow(String),
}

/// Answers questions about the account from a cache.
#[derive(Clone, Debug)]
pub struct Account {
    clock: Clock,
    gate: Arc<Gate>,
    metrics: Arc<Metrics>,
    readings: Arc<Readings>,
    live: Live,
    replies: Replies,
    statistics: Arc<Mutex<Hour>>,
    balances: Arc<Mutex<Balances>>,
    tasks: Tasks,
}

impl Account {
    #[must_use]
    pub fn new(
        clock: Clock,
        tasks: Tasks,
        gate: Arc<Gate>,
        metrics: Arc<Metrics>,
        readings: Arc<Readings>,
        live: Live,
    ) -> Self {
        let replies = Replies::new(clock);
        let (statistics, balances) = (Arc::default(), Arc::default());
        Self { clock, gate, metrics, readings, live, replies, statistics, balances, tasks }
    }

    /// The answer to `question`: from the cache, or from one call for all who wait for it.
    ///
    /// # Errors
    /// [`Failure`] when the upstream does not tell and has not told in the last 15 minutes.
    pub async fn ask(&self, question: Question) -> Result<Arc<str>, Failure> {
        self.ask_for(&Arc::from(""), question).await
    }

    /// The same, for a client: of statistics each gets its share.
    ///
    /// # Errors
    /// [`Failure`] when the upstream does not tell and has not told in the last 15 minutes.
    pub async fn ask_for(&self, client: &Arc<str>, question: Question) -> Result<Arc<str>, Failure> {
        let account = self.clone();
        let (asked, client) = (question.clone(), Arc::clone(client));
        // A task of its own: whoever gives up waiting takes the call away from nobody.
        let fetch = self
            .tasks
            .spawn(async move { account.replies.get(asked.clone(), account.fetch(&asked, &client)).await });
        let reply = tokio::select! {
            biased;
            reply = fetch => reply.ok().flatten().unwrap_or(Err(Failure::NoAnswer("the gateway is stopping"))),
            () = self.clock.sleep(WAIT_MAX) => Err(Failure::NoAnswer("the upstream does not answer")),
        };
        match reply {
            Err(failure) => self.replies.last_good(&question).await.ok_or(failure),
            reply => reply,
        }
    }

    async fn fetch(&self, question: &Question, client: &Arc<str>) -> (Reply, Duration) {
        let reply: Reply = self.fetch_once(question, client).await.map(Arc::from);
        if let (Ok(balance), Question::Balance) = (&reply, question) {
            let (readings, balance) = (Arc::clone(&self.readings), Arc::clone(balance));
            // Nobody who asked waits for the store.
            self.tasks.spawn(async move { readings.keep(&balance).await });
        }
        let cache = &self.live.load().cache;
        let serves = match (&reply, question) {
            // Nobody was asked, so the next may try at once.
            (Err(Failure::NotNow(_)), _) => Duration::ZERO,
            (Err(_), _) => FAILURE_KEPT,
            (Ok(_), Question::Balance) => cache.balance,
            (Ok(_), Question::Stats(_)) => cache.stats,
            (Ok(_), Question::Load) => cache.load,
        };
        (reply, serves)
    }

    /// Permission for the call; one more day of statistics counts for its client only if it goes.
    async fn turn(&self, question: &Question, client: &Arc<str>) -> Result<Ticket, Failure> {
        if !matches!(question, Question::Stats(_)) {
            return self.wait_for_turn(question).await;
        }
        let now = self.clock.now();
        let asks = self.lock_statistics().ask(client, now);
        asks.map_err(|used_up| Failure::NotNow(used_up.to_string()))?;
        let ticket = self.wait_for_turn(question).await;
        if ticket.is_err() {
            self.lock_statistics().did_not_ask(client, now);
        }
        ticket
    }

    /// Waits until the call may go; what stands in its way is often over in a moment.
    async fn wait_for_turn(&self, question: &Question) -> Result<Ticket, Failure> {
        let asked = if *question == Question::Load { Asked::Load } else { Asked::Balance };
        let deadline = self.clock.now() + TURN_WITHIN;
        loop {
            let changed = self.gate.changed();
            let refusal = match self.gate.admit(asked) {
                Ok(ticket) => return Ok(ticket),
                Err(refusal) => refusal,
            };
            if refusal.until > deadline || self.clock.now() >= deadline {
                self.metrics.refused(question.call().kind(), refusal.why.label());
                return Err(Failure::NotNow(refusal.to_string()));
            }
            tokio::select! {
                biased;
                () = changed => {}
                () = self.clock.sleep_until(refusal.until) => {}
            }
        }
    }

    fn lock_statistics(&self) -> MutexGuard<'_, Hour> {
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch_once(&self, question: &Question, client: &Arc<str>) -> Result<String, Failure> {
        let call = question.call();
        let ticket = self.turn(question, client).await?;
        let reply = self.gate.send(ticket, call, |body| {
            let reply = question.read(body);
            let end = match &reply {
                // A page could come from anybody in between; only a number says that the key is good.
                Ok(_) if *question != Question::Balance => {
                    CallEnd { outcome: CallOutcome::Done, ended: Ended::Page }
                }
                Ok(_) => CallEnd { outcome: CallOutcome::Done, ended: Ended::Done },
                Err(Failure::Code(code)) => {
                    CallEnd { outcome: CallOutcome::Code, ended: Ended::Code(code.clone()) }
                }
                Err(Failure::NoAnswer(_) | Failure::NotNow(_)) => {
                    CallEnd { outcome: CallOutcome::Garbage, ended: Ended::NoCode }
                }
            };
            (reply, end)
        });
        match reply.await {
            Ok(reply) => {
                self.show(question, reply.as_deref().unwrap_or_default());
                reply
            }
            Err(UpstreamError::NotSent(_)) => Err(Failure::NoAnswer("the upstream cannot be reached")),
            Err(_) => Err(Failure::NoAnswer("the upstream does not answer")),
        }
    }

    /// The balances that were told lately.
    #[must_use]
    pub fn balances(&self) -> Balances {
        self.lock_balances().clone()
    }

    /// A balance was told, now or before a restart.
    pub fn remember(&self, balance: Balance) {
        self.lock_balances().add(balance);
    }

    /// Another account's balances say nothing of this one's.
    pub fn forget_balances(&self) {
        *self.lock_balances() = Balances::default();
    }

    fn lock_balances(&self) -> MutexGuard<'_, Balances> {
        self.balances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows in the metrics what the account's figures are.
    fn show(&self, question: &Question, reply: &str) {
        match question {
            Question::Balance => {
                if let Ok(usd) = reply.parse() {
                    self.metrics.balance(usd);
                }
                if let Ok(usd) = reply.parse() {
                    self.remember(Balance { at: self.clock.now(), usd });
                }
            }
            Question::Load => self.metrics.load(number_in(reply, "load"), number_in(reply, "minbid")),
            Question::Stats(_) => {}
        }
    }
}

/// The number in the element `name` of load.php's page.
fn number_in(page: &str, name: &str) -> Option<f64> {
    let (_, rest) = page.split_once(&format!("<{name}>"))?;
    let (number, _) = rest.split_once(&format!("</{name}>"))?;
    number.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::number_in;

    #[test]
    fn numbers_of_the_load_page_are_read_where_they_are() {
        let page = "<response><waiting>7</waiting><load> 12.5 </load><minbid>x</minbid></response>";
        assert_eq!(number_in(page, "load"), Some(12.5));
        for (page, name) in
            [(page, "minbid"), (page, "bid"), ("<load>1", "load"), ("<load>inf</load>", "load")]
        {
            assert_eq!(number_in(page, name), None, "{name} in {page}");
        }
    }
}
