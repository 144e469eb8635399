//! The calls to come, and the captchas that have none yet.

use std::collections::{BTreeMap, VecDeque};

use crate::clock::Timestamp;
use crate::protocol::ids::CaptchaId;

/// Calls that are compared with each other, at most.
const CALLS_COMPARED_MAX: usize = 16;

/// A captcha that gets its call when it comes near: by then it is known which other calls leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Undecided {
    pub id: CaptchaId,
    /// From when on it may be looked at.
    pub earliest: Timestamp,
    /// When it is to be looked at.
    pub wanted: Timestamp,
    pub why: Why,
}

/// Why a captcha is to be looked at at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Its plan says so; a call near it will do.
    Best,
    /// To learn from it, where no other call would show as much.
    Explores,
    /// Its answer should have been pushed by then.
    Overdue,
}

/// The captchas of one moment.
#[derive(Debug, Default)]
struct Due {
    ids: VecDeque<CaptchaId>,
    /// How many of them go into a call that takes others.
    shared: u16,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    undecided: BTreeMap<Timestamp, VecDeque<Undecided>>,
    due: BTreeMap<Timestamp, Due>,
}

impl Calendar {
    /// The captcha gets its call at `at`.
    pub fn decide_later(&mut self, captcha: Undecided, at: Timestamp) {
        self.undecided.entry(at).or_default().push_back(captcha);
    }

    /// A captcha that is to get its call by now, and the moment at which it was.
    pub fn next_undecided(&mut self, now: Timestamp) -> Option<(Timestamp, Undecided)> {
        loop {
            let mut first = self.undecided.first_entry().filter(|first| *first.key() <= now)?;
            let at = *first.key();
            if let Some(captcha) = first.get_mut().pop_front() {
                return Some((at, captcha));
            }
            first.remove();
        }
    }

    /// The captcha is looked at at `at`, in a call that takes others if `is_shared`.
    pub fn put(&mut self, id: CaptchaId, at: Timestamp, is_shared: bool) {
        let due = self.due.entry(at).or_default();
        due.ids.push_back(id);
        due.shared = due.shared.saturating_add(is_shared.into());
    }

    /// The captcha that has been due for the longest, and since when.
    pub fn next_due(&mut self, now: Timestamp) -> Option<(Timestamp, CaptchaId)> {
        loop {
            let mut first = self.due.first_entry().filter(|first| *first.key() <= now)?;
            let at = *first.key();
            if let Some(id) = first.get_mut().ids.pop_front() {
                return Some((at, id));
            }
            first.remove();
        }
    }

    /// When there is something to do next.
    pub fn next_at(&self) -> Timestamp {
        let first = [self.undecided.keys().next(), self.due.keys().next()];
        first.into_iter().flatten().min().copied().unwrap_or(Timestamp::NEVER)
    }

    /// When the first call leaves, from `from` to `until`, that takes others.
    pub fn first_shared(&self, from: Timestamp, until: Timestamp) -> Option<Timestamp> {
        self.due.range(from..=until).find(|(_, due)| due.shared > 0).map(|(at, _)| *at)
    }

    /// Of new calls, each with what it costs beside, and the shared calls that leave from `from` to `until`, the one that
    /// costs least. Whoever joins a call shares its `price` with all in it, so that captchas gather in few calls.
    pub fn best_call(
        &self,
        new: [(Timestamp, f32); 2],
        price: f32,
        (from, until): (Timestamp, Timestamp),
        cost: impl Fn(Timestamp) -> f32,
    ) -> Timestamp {
        let shared = self.due.range(from..=until).filter(|(_, due)| due.shared > 0);
        let shared = shared.take(CALLS_COMPARED_MAX);
        let shared = shared.map(|(at, due)| (*at, price / (f32::from(due.shared) + 1.0)));
        let mut best = (new[0].0, f32::INFINITY);
        for (at, beside) in shared.chain(new) {
            let whole = cost(at) + beside;
            if whole < best.1 {
                best = (at, whole);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(at: Timestamp) -> f32 {
        f32::from(u16::try_from(at.0).unwrap()) / 1_000.0
    }

    #[test]
    fn captchas_come_in_the_order_of_their_moments() {
        let mut calendar = Calendar::default();
        for (id, at) in [(1, 300), (2, 100), (3, 300)] {
            calendar.put(CaptchaId(id), Timestamp(at), true);
        }
        assert_eq!((calendar.next_at(), calendar.next_due(Timestamp(99))), (Timestamp(100), None));
        let due: Vec<_> = std::iter::from_fn(|| calendar.next_due(Timestamp(300))).collect();
        assert_eq!(due, [(100, 2), (300, 1), (300, 3)].map(|(at, id)| (Timestamp(at), CaptchaId(id))));
        assert_eq!(calendar.next_at(), Timestamp::NEVER);
    }

    #[test]
    fn one_that_has_no_call_yet_is_something_to_do_too() {
        let mut calendar = Calendar::default();
        let at = Timestamp(50);
        let captcha = Undecided { id: CaptchaId(1), earliest: at, wanted: at, why: Why::Best };
        calendar.put(CaptchaId(2), Timestamp(100), true);
        calendar.decide_later(captcha, at);
        assert_eq!((calendar.next_at(), calendar.next_undecided(Timestamp(49))), (at, None));
        assert_eq!(calendar.next_undecided(at), Some((at, captcha)));
        assert_eq!((calendar.next_undecided(at), calendar.next_at()), (None, Timestamp(100)));
    }

    #[test]
    fn a_call_that_leaves_anyway_is_joined_when_that_costs_less_than_one_of_its_own() {
        let mut calendar = Calendar::default();
        let (whole, soon) = ((Timestamp(0), Timestamp(9_000)), (Timestamp(0), Timestamp(1_449)));
        let best = |calendar: &Calendar, price, window| {
            let new = [(Timestamp(1_000), price), (Timestamp(1_100), price)];
            calendar.best_call(new, price, window, seconds).0
        };
        assert_eq!(best(&calendar, 1.0, whole), 1_000, "there is none");
        calendar.put(CaptchaId(1), Timestamp(1_400), false);
        calendar.put(CaptchaId(2), Timestamp(1_450), true);
        assert_eq!(best(&calendar, 1.0, whole), 1_450, "half of the price is saved");
        assert_eq!(best(&calendar, 0.8, whole), 1_000, "it is too late for that");
        calendar.put(CaptchaId(3), Timestamp(1_450), true);
        assert_eq!(best(&calendar, 0.8, whole), 1_450, "two thirds of it are saved");
        assert_eq!(best(&calendar, 0.8, soon), 1_000, "it may not go so late");
        let first = [whole, soon].map(|(from, until)| calendar.first_shared(from, until));
        assert_eq!(first, [Some(Timestamp(1_450)), None]);
    }
}
