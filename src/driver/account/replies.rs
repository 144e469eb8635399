//! What was told lately, kept by the program's own clock: a cache that reads the time itself would be blind to a
//! simulated day.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use super::{Failure, Question};
use crate::clock::{Clock, Timestamp};

/// How long the last good reply stands in for a failed call.
const LAST_GOOD_KEPT: Duration = Duration::from_mins(15);
/// Most replies that are remembered; statistics have one for each day that is asked for.
const REPLIES_MAX: u64 = 400;

pub(super) type Reply = Result<Arc<str>, Failure>;

#[derive(Clone, Debug)]
struct Kept<T> {
    told: T,
    until: Timestamp,
}

/// See the module; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Replies {
    clock: Clock,
    all: Cache<Question, Kept<Reply>>,
    last_good: Cache<Question, Kept<Arc<str>>>,
}

impl Replies {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, all: Cache::new(REPLIES_MAX), last_good: Cache::new(REPLIES_MAX) }
    }

    /// The reply that is kept, or the one that `fetch` brings and how long it serves; all who come meanwhile share it.
    pub(super) async fn get(
        &self,
        question: Question,
        fetch: impl Future<Output = (Reply, Duration)> + Send,
    ) -> Reply {
        let fetched = async {
            let (told, serves) = fetch.await;
            let now = self.clock.now();
            if let Ok(text) = &told {
                let good = Kept { told: Arc::clone(text), until: now + LAST_GOOD_KEPT };
                self.last_good.insert(question.clone(), good).await;
            }
            Kept { told, until: now + serves }
        };
        let is_over = |kept: &Kept<Reply>| kept.until <= self.clock.now();
        self.all.entry(question.clone()).or_insert_with_if(fetched, is_over).await.into_value().told
    }

    /// What was told in the last 15 minutes.
    pub(super) async fn last_good(&self, question: &Question) -> Option<Arc<str>> {
        let kept = self.last_good.get(question).await?;
        (kept.until > self.clock.now()).then_some(kept.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const A_MOMENT: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn a_reply_serves_as_long_as_it_may_and_as_the_last_good_one_a_quarter_of_an_hour() {
        let clock = Clock::system();
        let replies = Replies::new(clock);
        let told = |text: &'static str| async move { (Ok(Arc::from(text)), MINUTE) };
        let fails = async { (Err(Failure::NoAnswer("it fails")), Duration::ZERO) };

        assert_eq!(replies.get(Question::Load, told("first")).await, Ok("first".into()));
        clock.sleep_until(clock.now() + MINUTE - A_MOMENT).await;
        assert_eq!(replies.get(Question::Load, told("second")).await, Ok("first".into()));
        assert_eq!(replies.get(Question::Balance, told("third")).await, Ok("third".into()));
        clock.sleep(A_MOMENT).await;
        assert_eq!(replies.get(Question::Load, fails).await, Err(Failure::NoAnswer("it fails")));
        assert_eq!(replies.get(Question::Load, told("fourth")).await, Ok("fourth".into()));

        clock.sleep_until(clock.now() + LAST_GOOD_KEPT - A_MOMENT).await;
        assert_eq!(replies.last_good(&Question::Load).await, Some("fourth".into()));
        clock.sleep(A_MOMENT).await;
        assert_eq!(replies.last_good(&Question::Load).await, None);
        assert_eq!(replies.last_good(&Question::Stats("2026-01-01".to_owned())).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_come_while_a_reply_is_fetched_share_it() {
        let clock = Clock::system();
        let replies = Replies::new(clock);
        let slow = async {
            clock.sleep(MINUTE).await;
            (Ok("slow".into()), MINUTE)
        };
        let other = async { (Ok("other".into()), MINUTE) };
        let all =
            futures_util::future::join(replies.get(Question::Load, slow), replies.get(Question::Load, other));
        assert_eq!(all.await, (Ok("slow".into()), Ok("slow".into())));
    }
}
