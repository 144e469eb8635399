//! Whether a batch with as many pieces as ids can be taken at its word.
//!
//! Pieces are joined by `|`, which a typed answer may hold too, and replies with fewer pieces than ids were seen
//! (protocol.md 3.3). Both at once cancel out: the count is right, and answers stand in other captchas' places.
//!
//! What shows it: a `|` inside an answer makes two pieces *next to each other* that are answers. A batch in which no two
//! answers are neighbours holds no such `|`; so with the right count it lacks no piece either, and each stands in its
//! place. Neighbours are believed where typed answers cannot be among them, and once batches have earned it: after
//! [`TRUSTED_AFTER`] typed answers in a row without a `|`, without a batch of another length, and without two batches that
//! contradict each other. Until then, and again after each of these, what a batch with neighbours shows is believed when
//! the next one shows the same with the ids in the opposite order: pieces that were shifted one way by the reply are then
//! shifted to other captchas. A reply that contradicts one before confirms nobody, and whoever it shows is looked at
//! alone. The opposite order only ever confirms, for an upstream that sorts its reply by id is not ruled out.
//!
//! What remains: the first `|` after so many answers without one, in the same reply as the first missing piece; and
//! replies that are whole by mistake twice in a row, and shift the same text to the same captcha both times.

use crate::protocol::answer::Answer;
use crate::protocol::reply::Look;

/// Answers in a row without a surprise after which neighbours in a batch are believed.
pub const TRUSTED_AFTER: u32 = 300;

/// What batches have shown so far; a new process trusts none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trust {
    /// Typed answers since the last surprise.
    plain_answers: u32,
}

impl Trust {
    /// A batch came back with another number of pieces than ids, or contradicts the one before.
    pub const fn mismatched(&mut self) {
        self.plain_answers = 0;
    }

    /// What a look at one captcha with a typed answer showed.
    pub fn looked_alone(&mut self, look: &Look) {
        let Look::Solved(solution) = look else { return };
        match &solution.answer {
            Answer::Text(text) if text.contains(&b'|') => self.plain_answers = 0,
            _ => self.answered(1),
        }
    }

    /// So many typed answers came out of a batch that was believed or confirmed.
    pub fn answered(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.plain_answers = self.plain_answers.saturating_add(count);
    }

    /// Whether batches are believed whatever they hold.
    #[must_use]
    pub const fn is_earned(self) -> bool {
        self.plain_answers >= TRUSTED_AFTER
    }

    /// Whether `pieces`, as many as ids, may be given to their captchas. `free_text`: a typed answer can be among them.
    #[must_use]
    pub fn takes(self, pieces: &[Look], free_text: bool) -> bool {
        !free_text || self.is_earned() || !has_neighbours(pieces)
    }
}

/// Whether two pieces side by side could be parts of one answer; an empty one is what a `|` at an answer's end leaves.
fn has_neighbours(pieces: &[Look]) -> bool {
    let is_part = |piece: &Look| matches!(piece, Look::Solved(_) | Look::Garbage);
    pieces.windows(2).any(|pair| is_part(&pair[0]) && is_part(&pair[1]))
}

#[cfg(test)]
mod tests;
