//! Captchas whose answers are known, to stand between others in a batch; see [`super::proof`] for what that proves.
//!
//! The upstream keeps an answer for about 15 minutes and tells it again to whoever looks. A fence costs no call, only one
//! more id in a call that is made anyway.
//!
//! **Invariants.** A fence is looked at an interval after the reply to the look before it, like every captcha, and in one
//! call at a time. It is used for `GOOD_FOR` after its upload, well before the upstream forgets it. One that is not in its
//! place is not used again; when all of a call's are not, none is used for `RESTS_FOR`: the upstream does not tell
//! answers twice, or in another order than asked. No two of a call have the same answer. At most [`FENCES_MAX`] are kept.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::protocol::ids::CaptchaId;

/// How long after its upload a captcha can be a fence.
const GOOD_FOR: Duration = Duration::from_mins(10);
/// How long none is used after a call in which none stood in its place.
const RESTS_FOR: Duration = Duration::from_mins(15);
/// Most that are kept: at ten uploads a second, all that a whole interval can use.
pub const FENCES_MAX: usize = 256;
/// The shortest answer that is told apart from a part of another.
const PIECE_BYTES_MIN: usize = 4;
/// The longest that is kept.
const PIECE_BYTES_MAX: usize = 4 * 1024;

/// A captcha whose answer is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    pub id: CaptchaId,
    /// Its piece of a batch.
    pub piece: Bytes,
    good_until: Timestamp,
    free_at: Timestamp,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Fences {
    /// Those that are free first come first.
    waiting: VecDeque<Fence>,
    in_calls: BTreeSet<CaptchaId>,
    rests_until: Timestamp,
}

impl Fences {
    /// A captcha's answer is known for certain; it may be looked at again from `free_at` on.
    pub fn add(&mut self, id: CaptchaId, piece: &Bytes, uploaded_at: Timestamp, free_at: Timestamp) {
        let fits = (PIECE_BYTES_MIN..=PIECE_BYTES_MAX).contains(&piece.len());
        // What the reader of batches could trim, or take for a page or for two pieces, is of no use.
        let is_sound =
            piece.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'|' | b'<' | b'{'));
        if fits && is_sound {
            // A copy: a piece of a reply would keep the whole reply in memory.
            let piece = Bytes::copy_from_slice(piece);
            self.put(Fence { id, piece, good_until: uploaded_at + GOOD_FOR, free_at });
        }
    }

    /// How many can be taken now.
    #[must_use]
    pub fn free(&self, now: Timestamp) -> usize {
        if now < self.rests_until {
            return 0;
        }
        self.waiting.iter().filter(|fence| fence.is_free(now)).count()
    }

    /// The one that has been free for the longest.
    pub fn take(&mut self, now: Timestamp) -> Option<Fence> {
        self.waiting.retain(|fence| now < fence.good_until);
        let is_free = now >= self.rests_until && self.waiting.front()?.is_free(now);
        let fence = self.waiting.pop_front_if(|_| is_free)?;
        self.in_calls.insert(fence.id);
        Some(fence)
    }

    /// The captcha is looked at for itself again, and stands by no more. True when it is in a call, which has to come back
    /// first.
    pub fn withdraw(&mut self, id: CaptchaId) -> bool {
        self.waiting.retain(|fence| fence.id != id);
        self.in_calls.contains(&id)
    }

    /// A call with it came to nothing before it was sent.
    pub fn give_back(&mut self, fence: Fence) {
        self.in_calls.remove(&fence.id);
        if !self.knows(&fence) {
            self.waiting.push_front(fence);
            self.waiting.truncate(FENCES_MAX);
        }
    }

    /// A call with it came back, and said nothing against it; it may be looked at again from `free_at` on.
    pub fn looked_at(&mut self, fence: Fence, free_at: Timestamp) {
        self.in_calls.remove(&fence.id);
        self.put(Fence { free_at, ..fence });
    }

    /// A call with it came back, and it is not to be used any more.
    pub fn drop_one(&mut self, fence: &Fence) {
        self.in_calls.remove(&fence.id);
    }

    /// None of a call's stood in its place.
    pub fn rest(&mut self, now: Timestamp) {
        self.rests_until = now + RESTS_FOR;
    }

    /// Another captcha may have got the same answer while this one was in a call.
    fn knows(&self, fence: &Fence) -> bool {
        self.waiting.iter().any(|other| other.piece == fence.piece)
    }

    fn put(&mut self, fence: Fence) {
        if self.knows(&fence) {
            return;
        }
        if self.waiting.len() == FENCES_MAX {
            self.waiting.pop_front();
        }
        let place = self.waiting.partition_point(|other| other.free_at <= fence.free_at);
        self.waiting.insert(place, fence);
    }
}

impl Fence {
    fn is_free(&self, now: Timestamp) -> bool {
        self.free_at <= now && now < self.good_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp(1_000_000) + Duration::from_secs(seconds)
    }

    #[test]
    fn a_fence_stands_by_from_when_it_may_be_looked_at_again_until_its_upload_is_too_long_ago() {
        let mut fences = Fences::default();
        fences.add(CaptchaId(1), &piece("3f9a"), at(0), at(10));
        assert_eq!((fences.free(at(9)), fences.free(at(10)), fences.free(at(600))), (0, 1, 0));
        assert_eq!(fences.take(at(9)), None);
        let fence = fences.take(at(10)).expect("it is free");
        assert_eq!((fences.free(at(11)), fences.take(at(11))), (0, None), "it is in a call");
        assert!(fences.withdraw(CaptchaId(1)));
        fences.looked_at(fence, at(16));
        assert_eq!((fences.free(at(15)), fences.free(at(16))), (0, 1));
        assert_eq!(fences.take(at(600)), None);
        assert!(fences.waiting.is_empty());
    }

    #[test]
    fn a_captcha_that_is_looked_at_for_itself_again_is_no_fence() {
        let mut fences = Fences::default();
        fences.add(CaptchaId(1), &piece("3f9a"), at(0), at(0));
        assert!(!fences.withdraw(CaptchaId(1)));
        assert_eq!(fences.free(at(1)), 0);
    }

    #[test]
    fn answers_that_could_be_mistaken_are_no_fences() {
        let mut fences = Fences::default();
        let long = |bytes: usize| "x".repeat(bytes);
        for answer in ["abc", "ab|cd", "ab cd", "<abc", "{abc", "ab\ncd", "abcd\u{e9}", "", &long(4_097)] {
            fences.add(CaptchaId(1), &piece(answer), at(0), at(0));
            assert_eq!(fences.free(at(1)), 0, "{answer}");
        }
        for (number, answer) in ["abcd", "abcd", "click:1/5/9", &long(4_096)].into_iter().enumerate() {
            fences.add(CaptchaId(number as u64), &piece(answer), at(0), at(0));
        }
        assert_eq!(fences.free(at(1)), 3, "no two of the same answer");
    }

    #[test]
    fn as_many_are_kept_as_the_limit_says_and_not_one_more() {
        let mut fences = Fences::default();
        for number in 0..=FENCES_MAX as u64 {
            fences.add(CaptchaId(number), &piece(&format!("answer-{number}")), at(0), at(number));
            let kept = FENCES_MAX.min(usize::try_from(number).unwrap() + 1);
            assert_eq!(fences.waiting.len(), kept);
        }
        assert_eq!(fences.take(at(500)).expect("all are free").id, CaptchaId(1), "the first has made room");
    }

    #[test]
    fn none_is_used_for_a_while_after_a_call_in_which_none_stood_in_its_place() {
        let mut fences = Fences::default();
        fences.rest(at(0));
        fences.add(CaptchaId(1), &piece("3f9a"), at(890), at(0));
        assert_eq!((fences.free(at(899)), fences.take(at(899))), (0, None));
        assert_eq!(fences.free(at(900)), 1);
    }
}
