//! Looks that may leave although the store does not take the budgets: the state that it took last has paid for them.
//!
//! **Invariant.** The state that was kept last counts `paid` looks as made that were not. As many may be made before the
//! next one is kept, so whatever a crash makes us forget, a start never believes in more looks than there are left. Last
//! looks need no float: a start counts those of them as made that could have been, see [`super::budgets`].

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most looks that are counted ahead: what a crash costs of rule 1005's 1,000 at most.
pub(super) const FLOAT_MAX: u32 = 100;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Float(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Looks that may still leave.
    left: u32,
    /// Looks that have left by it, since the start.
    taken: u64,
}

/// A state is about to be read and kept: what leaves by the float from now on is not in it.
#[derive(Debug)]
pub(super) struct Keeping {
    taken: u64,
}

impl Float {
    /// Called before the state is read.
    pub fn keeping(&self) -> Keeping {
        Keeping { taken: self.state().taken }
    }

    /// The state was kept, and has paid for so many looks. Never two states at once.
    pub fn kept(&self, keeping: &Keeping, paid: u32) {
        let mut state = self.state();
        let taken = u32::try_from(state.taken - keeping.taken).unwrap_or(u32::MAX);
        state.left = paid.saturating_sub(taken);
    }

    /// Whether so many looks may leave unkept.
    pub fn take(&self, looks: u32) -> bool {
        let mut state = self.state();
        let Some(left) = state.left.checked_sub(looks) else { return false };
        state.left = left;
        state.taken += u64::from(looks);
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_looks_leave_as_were_paid_for_and_not_one_more() {
        let float = Float::default();
        assert!(!float.take(1), "nothing was kept yet");
        float.kept(&float.keeping(), 12);
        assert!(float.take(10) && !float.take(3) && float.take(2) && !float.take(1));
        float.kept(&float.keeping(), 12);
        assert!(float.take(12), "the next state pays anew");
    }

    #[test]
    fn what_left_while_a_state_was_being_kept_is_not_in_it() {
        let float = Float::default();
        float.kept(&float.keeping(), 10);
        let keeping = float.keeping();
        assert!(float.take(4));
        float.kept(&keeping, 10);
        assert!(float.take(6) && !float.take(1));
    }
}
