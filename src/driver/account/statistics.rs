//! Whose days of statistics may be asked of the upstream: each is a call to res.php that looks may need.
//!
//! **Bounds.** At most [`DAYS_AN_HOUR_MAX`] days in any hour. Nobody may take more of them than are still free, as in the
//! queue of uploads: so n clients that ask for all they can leave at least 1 / (n + 1) for the next one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;

/// Most days whose statistics are asked of the upstream in an hour, by all clients together.
const DAYS_AN_HOUR_MAX: usize = 60;
const HOUR: Duration = Duration::from_hours(1);

/// No more for this client until a day that was asked for is an hour ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{asked} days of statistics were asked for within an hour, {own} of them here: no more until {until}"
)]
pub(super) struct UsedUp {
    asked: usize,
    own: usize,
    until: Timestamp,
}

/// Who asked in the last hour, and when.
#[derive(Debug, Default)]
pub(super) struct Hour {
    asked: VecDeque<(Timestamp, Arc<str>)>,
}

impl Hour {
    /// One more day for `client`.
    ///
    /// # Errors
    /// When it has its share.
    pub fn ask(&mut self, client: &Arc<str>, now: Timestamp) -> Result<(), UsedUp> {
        while self.asked.pop_front_if(|(at, _)| *at + HOUR <= now).is_some() {}
        let own = self.asked.iter().filter(|(_, other)| other == client).count();
        if self.asked.len() + own >= DAYS_AN_HOUR_MAX {
            let until = self.asked.front().map_or(now, |(at, _)| *at + HOUR);
            return Err(UsedUp { asked: self.asked.len(), own, until });
        }
        self.asked.push_back((now, Arc::clone(client)));
        Ok(())
    }

    /// What `client` asked at `at` did not go to the upstream.
    pub fn did_not_ask(&mut self, client: &Arc<str>, at: Timestamp) {
        let place = self.asked.iter().position(|(asked_at, other)| *asked_at == at && other == client);
        if let Some(place) = place {
            self.asked.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> Timestamp {
        Timestamp(1_000_000) + Duration::from_mins(minutes)
    }

    /// As many days as `client` gets.
    fn take_all(hour: &mut Hour, client: &str, now: Timestamp) -> usize {
        let client = Arc::from(client);
        std::iter::repeat_with(|| hour.ask(&client, now)).take_while(Result::is_ok).count()
    }

    #[test]
    fn whoever_asks_for_all_leaves_as_much_to_the_next_and_sixty_are_never_passed() {
        let mut hour = Hour::default();
        let taken: Vec<usize> =
            ["a", "b", "c", "d"].map(|client| take_all(&mut hour, client, at(0))).to_vec();
        assert_eq!(taken, [30, 15, 8, 4]);
        let others = (0..100).map(|client| take_all(&mut hour, &format!("other-{client}"), at(1)));
        assert_eq!(others.sum::<usize>() + 57, DAYS_AN_HOUR_MAX);
    }

    #[test]
    fn an_hour_later_the_share_is_there_again_and_not_before() {
        let mut hour = Hour::default();
        take_all(&mut hour, "a", at(0));
        let refused = hour.ask(&Arc::from("a"), at(59)).unwrap_err();
        assert_eq!((refused.asked, refused.own, refused.until), (30, 30, at(60)));
        assert_eq!(take_all(&mut hour, "a", at(60)), 30);
    }

    #[test]
    fn a_question_that_did_not_go_counts_for_nobody() {
        let (mut hour, client) = (Hour::default(), Arc::from("a"));
        for _ in 0..100 {
            hour.ask(&client, at(0)).unwrap();
            hour.did_not_ask(&client, at(0));
        }
        assert_eq!(take_all(&mut hour, "a", at(0)), 30);
    }
}
