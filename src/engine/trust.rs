//! Whether a batch with as many pieces as ids can be taken at its word.
//!
//! Pieces are joined by `|`, which a typed answer may hold too, and replies with fewer pieces than ids were seen
//! (protocol.md 3.3). Both at once cancel out: the count is right, and answers stand in other captchas' places.
//!
//! What shows it: a `|` inside an answer makes two pieces *next to each other* that are answers. A batch in which no two
//! answers are neighbours holds no such `|`; so with the right count it lacks no piece either, and each stands in its
//! place. Neighbours are believed where typed answers cannot be among them, and once batches have earned it: after
//! [`TRUSTED_AFTER`] answers in a row without a `|`, without a batch of another length, and without two batches that
//! contradict each other. Until then, and again after each of these, what a batch with neighbours shows is believed when
//! the next one shows the same with the ids in the opposite order: pieces that were shifted one way by the reply are then
//! shifted to other captchas.
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
    /// Answers since the last surprise.
    plain_answers: u32,
}

impl Trust {
    /// A batch came back with another number of pieces than ids, or contradicts the one before.
    pub const fn mismatched(&mut self) {
        self.plain_answers = 0;
    }

    /// What is certain of a captcha that is, or could be, looked at with others.
    pub fn answered(&mut self, look: &Look) {
        let Look::Solved(solution) = look else { return };
        match &solution.answer {
            Answer::Text(text) if text.contains(&b'|') => self.plain_answers = 0,
            _ => self.plain_answers = self.plain_answers.saturating_add(1),
        }
    }

    /// Whether batches are believed whatever they hold.
    #[must_use]
    pub const fn is_earned(self) -> bool {
        self.plain_answers >= TRUSTED_AFTER
    }

    /// Whether `pieces`, as many as ids, may be given to their captchas. `free_text`: a typed answer can be among them.
    pub fn takes(&mut self, pieces: &[Look], free_text: bool) -> bool {
        let is_taken = !free_text || self.is_earned() || !has_neighbours(pieces);
        if is_taken {
            let answers = pieces.iter().filter(|piece| matches!(piece, Look::Solved(_))).count();
            let answers = u32::try_from(answers).unwrap_or(u32::MAX);
            self.plain_answers = self.plain_answers.saturating_add(answers);
        }
        is_taken
    }
}

/// Whether two pieces side by side could be parts of one answer; an empty one is what a `|` at an answer's end leaves.
fn has_neighbours(pieces: &[Look]) -> bool {
    let is_part = |piece: &Look| matches!(piece, Look::Solved(_) | Look::Garbage);
    pieces.windows(2).any(|pair| is_part(&pair[0]) && is_part(&pair[1]))
}

#[cfg(test)]
mod tests;
