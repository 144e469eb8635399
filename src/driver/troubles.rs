//! The last things that went wrong, for people; and since when the upstream has given no answer.
//!
//! **Limit.** [`KEPT_MAX`] different ones of [`TEXT_MAX`] symbols each; the one that was met last the longest ago leaves.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::{Clock, Timestamp};

/// Most different troubles that are remembered.
pub const KEPT_MAX: usize = 20;
/// Most symbols of a trouble's text; an upstream's reply could be long.
pub const TEXT_MAX: usize = 200;

/// Something that went wrong, once or many times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The kind of call, or `store`.
    pub place: &'static str,
    pub text: String,
    pub count: u64,
    pub first: Timestamp,
    pub last: Timestamp,
}

/// Calls in a row to which the upstream gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered {
    pub since: Timestamp,
    pub calls: u64,
}

#[derive(Debug, Default)]
struct Known {
    troubles: Vec<Trouble>,
    unanswered: Option<Unanswered>,
}

/// Where the driver notes what goes wrong.
#[derive(Debug)]
pub struct Troubles {
    clock: Clock,
    known: Mutex<Known>,
}

impl Troubles {
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, known: Mutex::default() }
    }

    /// `text` must be free of secrets, as a log line must.
    pub fn met(&self, place: &'static str, text: &str) {
        let (text, now) = (shortened(text), self.clock.now());
        let troubles = &mut self.lock().troubles;
        if let Some(known) = troubles.iter_mut().find(|known| known.place == place && known.text == text) {
            known.count += 1;
            known.last = now;
            return;
        }
        if troubles.len() >= KEPT_MAX
            && let Some(oldest) = (0..troubles.len()).min_by_key(|at| troubles[*at].last)
        {
            troubles.remove(oldest);
        }
        troubles.push(Trouble { place, text, count: 1, first: now, last: now });
    }

    /// A call came back with an answer or a code, or with neither.
    pub fn call_ended(&self, is_answered: bool) {
        let now = self.clock.now();
        let unanswered = &mut self.lock().unanswered;
        *unanswered = match *unanswered {
            _ if is_answered => None,
            Some(run) => Some(Unanswered { calls: run.calls + 1, ..run }),
            None => Some(Unanswered { since: now, calls: 1 }),
        };
    }

    /// The calls without an answer since the last one that had one.
    #[must_use]
    pub fn unanswered(&self) -> Option<Unanswered> {
        self.lock().unanswered
    }

    /// What is remembered, the latest first.
    #[must_use]
    pub fn list(&self) -> Vec<Trouble> {
        let mut troubles = self.lock().troubles.clone();
        troubles.sort_by_key(|trouble| std::cmp::Reverse(trouble.last));
        troubles
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line of bounded length, whatever an upstream sent.
fn shortened(text: &str) -> String {
    let visible = |symbol: char| if symbol.is_control() { ' ' } else { symbol };
    let line: String = text.chars().map(visible).collect();
    let mut short: String = line.trim().chars().take(TEXT_MAX).collect();
    if line.trim().chars().count() > TEXT_MAX {
        short.pop();
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn troubles() -> (Clock, Troubles) {
        let clock = Clock::starting_at(Timestamp(0));
        (clock, Troubles::new(clock))
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_trouble_is_counted_and_the_latest_comes_first() {
        let (clock, troubles) = troubles();
        troubles.met("submit", "ERROR: 1005");
        clock.sleep(Duration::from_secs(1)).await;
        troubles.met("store", "ERROR: 1005");
        clock.sleep(Duration::from_secs(1)).await;
        troubles.met("submit", " ERROR: 1005\n");
        let list = troubles.list();
        let first = Trouble {
            place: "submit",
            text: "ERROR: 1005".into(),
            count: 2,
            first: Timestamp(0),
            last: Timestamp(2_000),
        };
        assert_eq!((&list[0], list[1].place, list.len()), (&first, "store", 2));
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_kept_and_the_one_that_was_met_longest_ago_leaves() {
        let (clock, troubles) = troubles();
        for number in 0..KEPT_MAX {
            troubles.met("submit", &number.to_string());
            clock.sleep(Duration::from_secs(1)).await;
        }
        troubles.met("submit", "0");
        assert_eq!(troubles.list().len(), KEPT_MAX);
        clock.sleep(Duration::from_secs(1)).await;
        troubles.met("submit", "one more");
        let texts: Vec<_> = troubles.list().into_iter().map(|trouble| trouble.text).collect();
        assert_eq!((texts.len(), texts[0].as_str(), texts[1].as_str()), (KEPT_MAX, "one more", "0"));
        assert!(!texts.contains(&"1".to_owned()), "{texts:?}");
    }

    #[test]
    fn a_text_is_one_line_of_bounded_length() {
        assert_eq!(shortened("a\r\nb\u{7f}"), "a  b");
        let longest = "я".repeat(TEXT_MAX);
        assert_eq!(shortened(&longest), longest);
        let longer = shortened(&format!("{longest}я"));
        assert_eq!((longer.chars().count(), longer.chars().last()), (TEXT_MAX, Some('…')));
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_without_answers_begins_with_its_first_call_and_ends_with_an_answer() {
        let (clock, troubles) = troubles();
        troubles.call_ended(true);
        assert_eq!(troubles.unanswered(), None);
        clock.sleep(Duration::from_secs(5)).await;
        troubles.call_ended(false);
        clock.sleep(Duration::from_secs(5)).await;
        troubles.call_ended(false);
        assert_eq!(troubles.unanswered(), Some(Unanswered { since: Timestamp(5_000), calls: 2 }));
        troubles.call_ended(true);
        assert_eq!(troubles.unanswered(), None);
    }
}
