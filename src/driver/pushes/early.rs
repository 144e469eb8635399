//! Pushes of captchas that we do not know yet: the upstream may push before the reply to our own upload is here. Others
//! are of captchas that are not ours, and leave after a while.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::protocol::ids::CaptchaId;
use crate::protocol::pingback::Push;

/// Most pushes that are held; one more takes the place of the oldest.
pub const HELD_MAX: usize = 1_000;
/// Most bytes that they have together.
pub const HELD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long one is held: longer than an upload's reply takes.
pub const HELD_FOR: Duration = Duration::from_mins(1);

/// The pushes that are held.
#[derive(Debug, Default)]
pub(super) struct Early {
    held: HashMap<CaptchaId, Bytes>,
    /// Oldest first.
    by_age: VecDeque<(Timestamp, CaptchaId)>,
    bytes: usize,
    /// Captchas that are ours and are not kept yet.
    expected: HashSet<CaptchaId>,
}

impl Early {
    /// Holds a push. Returns how many have left for it, or because their time is over: nobody knew them.
    pub fn hold(&mut self, push: Push, now: Timestamp) -> usize {
        let mut left = self.forget(now);
        self.take(push.id);
        while !self.by_age.is_empty()
            && (self.by_age.len() >= HELD_MAX || self.bytes + push.code.len() > HELD_BYTES_MAX)
        {
            left += self.drop_oldest();
        }
        self.bytes += push.code.len();
        self.by_age.push_back((now, push.id));
        self.held.insert(push.id, push.code);
        left
    }

    /// A captcha is about to be ours.
    pub fn expect(&mut self, id: CaptchaId) {
        self.expected.insert(id);
    }

    pub fn is_expected(&self, id: CaptchaId) -> bool {
        self.expected.contains(&id)
    }

    /// The captcha is ours now: what was pushed of it.
    pub fn release(&mut self, id: CaptchaId) -> Option<Push> {
        self.expected.remove(&id);
        self.take(id)
    }

    fn take(&mut self, id: CaptchaId) -> Option<Push> {
        let code = self.held.remove(&id)?;
        self.bytes -= code.len();
        self.by_age.retain(|(_, held)| *held != id);
        Some(Push { id, code })
    }

    /// Lets those leave whose time is over; how many there were.
    pub fn forget(&mut self, now: Timestamp) -> usize {
        let mut left = 0;
        while self.by_age.front().is_some_and(|(at, _)| *at + HELD_FOR <= now) {
            left += self.drop_oldest();
        }
        left
    }

    fn drop_oldest(&mut self) -> usize {
        let Some((_, id)) = self.by_age.pop_front() else { return 0 };
        let Some(code) = self.held.remove(&id) else { return 0 };
        self.bytes -= code.len();
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000);

    fn push(id: usize, bytes: usize) -> Push {
        Push { id: CaptchaId(id as u64), code: vec![b'x'; bytes].into() }
    }

    #[test]
    fn a_push_is_held_for_a_minute_and_not_a_moment_longer() {
        let mut early = Early::default();
        assert_eq!(early.hold(push(1, 5), START), 0);
        assert_eq!(early.forget(Timestamp(START.0 + 59_999)), 0);
        assert_eq!(early.take(CaptchaId(1)), Some(push(1, 5)));
        assert_eq!(early.take(CaptchaId(1)), None, "it is taken once");
        early.hold(push(2, 5), START);
        assert_eq!(early.forget(START + HELD_FOR), 1);
        assert_eq!(early.take(CaptchaId(2)), None);
    }

    #[test]
    fn a_thousand_are_held_and_one_more_takes_the_place_of_the_oldest() {
        let mut early = Early::default();
        let left: usize = (0..HELD_MAX).map(|id| early.hold(push(id, 1), START)).sum();
        assert_eq!((left, early.held.len()), (0, HELD_MAX));
        assert_eq!(early.hold(push(0, 2), START), 0, "the same again is no more");
        assert_eq!(early.hold(push(HELD_MAX, 1), START), 1);
        assert_eq!((early.take(CaptchaId(1)), early.held.len()), (None, HELD_MAX));
        assert_eq!(early.take(CaptchaId(0)), Some(push(0, 2)));
    }

    #[test]
    fn their_bytes_have_a_limit_too() {
        let mut early = Early::default();
        early.hold(push(1, HELD_BYTES_MAX / 2), START);
        assert_eq!(early.hold(push(2, HELD_BYTES_MAX / 2), START), 0);
        assert_eq!(early.hold(push(3, 1), START), 1, "one byte over it");
        assert_eq!((early.bytes, early.take(CaptchaId(1))), (HELD_BYTES_MAX / 2 + 1, None));
    }
}
