//! Which pieces of a batch certainly stand in their places.
//!
//! Pieces are joined by `|`, which a typed answer may hold too, and replies with fewer pieces than ids were seen
//! (protocol.md 3.3). Both at once cancel out: the count is right, and answers stand in other captchas' places. A piece is
//! therefore given to its captcha only where nothing can have been left out or broken in two:
//!
//! - A *fence* is a captcha whose answer is known ([`super::fences`]). In a call that has fences there is one between
//!   every two captchas with typed answers, and between the last of these and the others. They cut the batch into
//!   *stretches*, if each of them stands in its place; else nothing is certain.
//! - A stretch is certain when it holds no captcha with a typed answer, or when no two pieces side by side in it could be
//!   parts of one answer. `CAPCHA_NOT_READY` and codes cannot.
//!
//! **Why that is enough.** Up to the first fence, a captcha's bars make pieces and pieces that were left out take them
//! away; if the fence stands in its place, there are as many of the one as of the other; and so on to the next fence and
//! to the end, for the whole has as many pieces as ids. So within a stretch, what was left out equals the bars. A bar
//! makes two pieces side by side that are parts of an answer. Where there are none such, there is no bar, so nothing was
//! left out, and the pieces are those of the ids, one for one. A stretch of one captcha is always certain.
//!
//! **What is assumed.** 1. A reply holds the captchas' pieces in the order of the ids, each whole or not at all. (Fences
//! show a reply in another order: then they do not stand in their places.) 2. No part of a typed answer reads like a code
//! of the upstream. 3. No answer with a bar has a part that reads like the answer of a fence in the same call. That another
//! captcha's *whole* answer reads like a fence's does no harm: it has no bar, so it cannot fill its own place and the
//! fence's, and what it shifts no later bar can shift back over a fence. Nothing depends on how often bars or short
//! replies come.

use bytes::Bytes;

use crate::protocol::answer::Answer;
use crate::protocol::reply::Look;

/// What stands at a place of the call.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// A captcha whose answer cannot hold a `|`.
    Plain,
    /// One whose answer a person types.
    Typed,
    /// One whose answer is known.
    Fence(&'a Bytes),
}

impl Place<'_> {
    /// Whether it is a fence and `piece` is its answer.
    #[must_use]
    pub fn is_fence_in_place(&self, piece: &Look) -> bool {
        matches!((self, piece), (Place::Fence(known), Look::Solved(solution))
            if matches!(&solution.answer, Answer::Text(text) if text == *known))
    }
}

/// For each of the `pieces`, as many as `places`, whether it is certainly its captcha's.
#[must_use]
pub fn certain(places: &[Place<'_>], pieces: &[Look]) -> Vec<bool> {
    let fences = || places.iter().enumerate().filter(|(_, place)| matches!(place, Place::Fence(_)));
    if fences().any(|(at, fence)| !fence.is_fence_in_place(&pieces[at])) {
        return vec![false; places.len()];
    }
    let mut certain = vec![true; places.len()];
    let mut begin = 0;
    for end in fences().map(|(at, _)| at).chain([places.len()]) {
        certain[begin..end].fill(!could_hide_a_bar(&places[begin..end], &pieces[begin..end]));
        begin = end + 1;
    }
    certain
}

/// Whether a typed answer could have been broken in two in this stretch; an empty piece is what a `|` at an answer's end
/// leaves.
fn could_hide_a_bar(places: &[Place<'_>], pieces: &[Look]) -> bool {
    let is_part = |piece: &Look| matches!(piece, Look::Solved(_) | Look::Garbage);
    let has_neighbours = || pieces.windows(2).any(|pair| is_part(&pair[0]) && is_part(&pair[1]));
    places.iter().any(|place| matches!(place, Place::Typed)) && has_neighbours()
}

#[cfg(test)]
mod tests;
