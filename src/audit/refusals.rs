//! Refusals that come again and again: one line for the first, one for how many followed within its minute. So whoever is
//! refused cannot fill the trail and push out what others did.

use std::collections::HashMap;
use std::time::Duration;

use super::event::Event;
use crate::clock::Timestamp;

/// How long refusals of one client by one rule are put together.
pub const TOGETHER: Duration = Duration::from_mins(1);

/// Who was refused within the last minute, and by what: at most an entry for each client and rule.
#[derive(Debug, Default)]
pub(super) struct Refusals(HashMap<(String, &'static str), Minute>);

#[derive(Clone, Copy, Debug)]
struct Minute {
    since: Timestamp,
    /// After the first.
    times: u64,
}

impl Refusals {
    /// One more. None when it is only counted; else it has a line of its own, after the lines that are returned.
    pub fn add(&mut self, client: &str, rule: &'static str, now: Timestamp) -> Option<Vec<Event>> {
        let key = (client.to_owned(), rule);
        if let Some(minute) = self.0.get_mut(&key)
            && now < minute.since + TOGETHER
        {
            minute.times += 1;
            return None;
        }
        let before = self.0.remove(&key).and_then(|minute| minute.told(&key));
        self.0.insert(key, Minute { since: now, times: 0 });
        Some(before.into_iter().collect())
    }

    /// Those whose minute is over, which are forgotten.
    pub fn over(&mut self, now: Timestamp) -> Vec<Event> {
        self.take(|minute| minute.since + TOGETHER <= now)
    }

    /// All of them, at the end.
    pub fn all(&mut self) -> Vec<Event> {
        self.take(|_| true)
    }

    fn take(&mut self, is_over: impl Fn(&Minute) -> bool) -> Vec<Event> {
        let over = self.0.extract_if(|_, minute| is_over(minute));
        over.filter_map(|(key, minute)| minute.told(&key)).collect()
    }
}

impl Minute {
    fn told(self, (client, rule): &(String, &'static str)) -> Option<Event> {
        (self.times > 0).then(|| Event::RefusedAgain {
            client: client.clone(),
            rule,
            times: self.times,
            since: self.since,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(times: u64, since: u64) -> Event {
        Event::RefusedAgain { client: "a".into(), rule: "pages", times, since: Timestamp(since) }
    }

    #[test]
    fn the_first_in_a_minute_has_a_line_and_the_others_are_counted() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.add("a", "pages", Timestamp(0)), Some(vec![]));
        assert_eq!(refusals.add("a", "pages", Timestamp(1)), None);
        assert_eq!(refusals.add("a", "pages", Timestamp(59_999)), None);
        assert_eq!(refusals.add("a", "methods", Timestamp(1)), Some(vec![]), "another rule");
        assert_eq!(refusals.add("b", "pages", Timestamp(1)), Some(vec![]), "another client");
        assert_eq!(refusals.add("a", "pages", Timestamp(60_000)), Some(vec![again(2, 0)]));
    }

    #[test]
    fn what_was_counted_is_told_when_its_minute_is_over_or_at_the_end() {
        let mut refusals = Refusals::default();
        for at in [0, 5, 6] {
            refusals.add("a", "pages", Timestamp(at));
        }
        refusals.add("b", "pages", Timestamp(3));
        assert_eq!(refusals.over(Timestamp(59_999)), []);
        assert_eq!(refusals.over(Timestamp(60_000)), [again(2, 0)]);
        assert_eq!(refusals.over(Timestamp(70_000)), [], "one that came once has been told");
        assert!(refusals.0.is_empty(), "nothing is remembered");
        for at in [90_000, 90_001] {
            refusals.add("a", "pages", Timestamp(at));
        }
        assert_eq!(refusals.all(), [again(1, 90_000)]);
    }
}
