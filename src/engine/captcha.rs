//! One captcha's life, from the moment the upstream accepted it.
//!
//! ```text
//! Open -solved, failed-> Solved -nobody wants its price-> Over
//! Open -strange code twelve times in a row-> Solved        Solved -priced, or looked at for it three times-> Over
//! Open, Solved -its 15 minutes have passed-> Over
//! Open -its answer is pushed-> Solved            Open -pushed, and not the whole of it-> looked at -> Solved
//! ```
//! Shortly before the end one look is made that was kept for it, alone: there is no second one for a captcha whose piece
//! of a batch nobody can tell. What time is left then is used for more looks, as far as budgets allow.
//!
//! What a look shows is taken here; when the next one comes, and with which others, is [`super::polling`]'s.

use std::time::Duration;

use bytes::Bytes;

use super::timing::Kind;
use crate::clock::Timestamp;
use crate::protocol::answer::{Answer, Solution};
use crate::protocol::errors::{Code, Reaction};
use crate::protocol::methods::{Look as LookKind, Pushed as PushedAnswer};
use crate::protocol::reply::Look;

/// How long the upstream keeps an answer, from the upload on (2016: "about 15 minutes").
pub const LIFETIME: Duration = Duration::from_mins(15);
/// How long before the end of [`LIFETIME`] the last look is made.
pub const LAST_LOOK_BEFORE_END: Duration = Duration::from_secs(10);
/// How often a code that we do not understand must come in a row before it counts as the captcha's end: about a minute,
/// for it may speak of the upstream as a whole.
pub(super) const STRANGE_CODES_MAX: u8 = 12;
/// Batches in a row that brought nothing before their captchas are looked at in halves.
const EMPTY_BATCHES_MAX: u8 = 2;
/// The same while no other look brings anything either: then it is rather the upstream that fails.
const EMPTY_BATCHES_ALONE_MAX: u8 = 6;
/// How long looks are tried for the whole of an answer whose text was pushed, before the text is taken for it.
pub(super) const PUSHED_WAITS: Duration = Duration::from_secs(12);
/// How many more looks a solved captcha gets for the price that its client asks for.
const PRICE_LOOKS_MAX: u8 = 3;

/// How a look is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LookForm {
    /// Several ids, plain.
    Batch,
    /// One id, plain: a method whose looks are batched, looked at alone.
    Plain,
    /// One id with `json=1`: the whole reply is kept.
    Json,
    /// One id with `get2` and `json=1`: the client wants the price.
    Price,
}

/// What a call brought to light about a captcha.
#[derive(Clone, Debug)]
pub enum Effect {
    /// The answer is known; it is the captcha's last, except for its price.
    Solved(Solution),
    /// The price that the client asked for, or that the upstream does not tell it.
    Priced(Option<String>),
    /// The 15 minutes are over without an answer.
    Expired,
}

/// A captcha that is looked at.
#[derive(Debug)]
pub struct Captcha {
    kind: Kind,
    uploaded_at: Timestamp,
    /// Its age in milliseconds when a look last found it unsolved.
    unsolved_ms: u32,
    /// Most captchas in a batch with this one; halves on each mismatch.
    batch_max: u16,
    wants_price: bool,
    state: State,
    price_looks: u8,
    strange_codes: u8,
    /// Batches in a row that brought nothing.
    empty_batches: u8,
    /// A batch showed something at its place that is not certainly its own.
    is_doubted: bool,
    last_look: LastLook,
    /// There are as many of these as open captchas, and few are ever told a part.
    pushed: Option<Box<PushedText>>,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Only the price is missing.
    Solved,
    /// Its answer was pushed while a look at it was under way: it leaves when that is back.
    Over,
}

/// A text that the upstream pushed and that is not the whole answer.
#[derive(Debug)]
struct PushedText {
    text: Bytes,
    at: Timestamp,
}

/// The look that is kept for a captcha until shortly before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastLook {
    Kept,
    Made,
}

/// What a look taught about a captcha.
#[derive(Debug)]
pub enum Learned {
    Nothing,
    /// And there is more to be learned.
    More(Effect),
    /// And it was the last.
    Last(Effect),
}

impl Captcha {
    #[must_use]
    pub const fn new(kind: Kind, uploaded_at: Timestamp) -> Self {
        Self {
            kind,
            uploaded_at,
            unsolved_ms: 0,
            batch_max: u16::MAX,
            wants_price: false,
            state: State::Open,
            price_looks: 0,
            strange_codes: 0,
            empty_batches: 0,
            is_doubted: false,
            last_look: LastLook::Kept,
            pushed: None,
        }
    }

    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    #[must_use]
    pub const fn uploaded_at(&self) -> Timestamp {
        self.uploaded_at
    }

    /// Its age when a look last found it unsolved; zero before the first.
    #[must_use]
    pub fn unsolved_at(&self) -> Duration {
        Duration::from_millis(self.unsolved_ms.into())
    }

    /// A look at it that was sent after `at` found it unsolved.
    pub fn was_unsolved(&mut self, at: Timestamp) {
        self.unsolved_ms = u32::try_from(at.since(self.uploaded_at).as_millis()).unwrap_or(u32::MAX);
    }

    /// Whether its answer is known, and only the price is missing.
    #[must_use]
    pub const fn is_solved(&self) -> bool {
        !matches!(self.state, State::Open)
    }

    /// When the upstream forgets it.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        self.uploaded_at + LIFETIME
    }

    /// Whether a look now is the one that is kept for it.
    #[must_use]
    pub fn is_last_look(&self, now: Timestamp) -> bool {
        self.is_before_last_look() && now >= self.last_look_at()
    }

    /// Whether the look that is kept for it is still to come.
    #[must_use]
    pub fn is_before_last_look(&self) -> bool {
        self.last_look == LastLook::Kept
    }

    /// How its last look is made: alone.
    #[must_use]
    pub const fn last_form(&self) -> LookForm {
        match self.form() {
            LookForm::Batch => LookForm::Plain,
            form => form,
        }
    }

    /// When the look is made that is kept for it.
    #[must_use]
    pub fn last_look_at(&self) -> Timestamp {
        self.ends_at() - LAST_LOOK_BEFORE_END
    }

    /// The look that was kept for it has been made.
    pub const fn last_look_made(&mut self) {
        self.last_look = LastLook::Made;
    }

    /// What its end without a further look means.
    #[must_use]
    pub fn end(&self) -> Effect {
        match &self.pushed {
            _ if self.is_solved() => Effect::Priced(None),
            Some(pushed) => Effect::Solved(Answer::Text(pushed.text.clone()).into()),
            None => Effect::Expired,
        }
    }

    /// How it is looked at next.
    #[must_use]
    pub const fn form(&self) -> LookForm {
        match self.kind.method.look() {
            _ if self.wants_price => LookForm::Price,
            LookKind::Alone => LookForm::Json,
            LookKind::Batch | LookKind::BatchFreely if self.batch_max <= 1 => LookForm::Plain,
            LookKind::Batch | LookKind::BatchFreely => LookForm::Batch,
        }
    }

    /// Most captchas in a batch with this one.
    #[must_use]
    pub fn batch_max(&self) -> usize {
        self.batch_max.into()
    }

    /// Its client asked for the price; the answer itself may be known already.
    pub fn want_price(&mut self, is_solved: bool) {
        self.wants_price = true;
        // One that was over has more to be looked for.
        if is_solved || self.is_over() {
            self.state = State::Solved;
        }
    }

    /// A batch of `size` with it came back with another number of pieces.
    pub fn mismatched(&mut self, size: usize) {
        self.batch_max = u16::try_from(size / 2).unwrap_or(u16::MAX).max(1);
    }

    /// Whether a person types its answer, so that it could hold a `|`.
    #[must_use]
    pub fn is_free_text(&self) -> bool {
        self.kind.method.look() == LookKind::BatchFreely
    }

    /// A batch showed something at its place that is not certainly its own; `fenced`, and that did not help.
    pub const fn doubt(&mut self, fenced: bool) {
        self.is_doubted = true;
        if fenced {
            self.batch_max = 1;
        }
    }

    /// Whether it is looked at between fences from now on, or alone.
    #[must_use]
    pub const fn is_doubted(&self) -> bool {
        self.is_doubted
    }

    /// A batch with it came back whole, and its piece is certain.
    pub const fn matched(&mut self) {
        self.batch_max = self.batch_max.saturating_mul(2);
        self.is_doubted = false;
        self.empty_batches = 0;
    }

    /// A call with it, of `size` captchas, brought nothing, while others' calls did or not. One id that the upstream
    /// stumbles over must not hide the answers of the others for ever: after some such batches in a row they are looked
    /// at in halves, down to alone.
    pub fn learn_nothing(&mut self, size: usize, others_succeed: bool) -> Learned {
        if self.is_solved() {
            return self.learn(Look::Garbage);
        }
        self.empty_batches += 1;
        if self.empty_batches >= if others_succeed { EMPTY_BATCHES_MAX } else { EMPTY_BATCHES_ALONE_MAX } {
            self.empty_batches = 0;
            self.mismatched(size);
        }
        Learned::Nothing
    }

    /// Whether it waits for nothing but a look that is under way.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// A push told its answer, and a look at it is under way.
    pub const fn leave_when_back(&mut self) {
        self.state = State::Over;
    }

    /// Whether a push would be news.
    #[must_use]
    pub const fn waits_for_answer(&self) -> bool {
        !self.is_solved()
    }

    /// Whether there is something to look for: the sooner the better.
    #[must_use]
    pub const fn is_known_solved(&self) -> bool {
        self.is_solved() || self.pushed.is_some()
    }

    /// Takes what the upstream pushed: a plain text, or the code that it ended with. Where that is not the whole answer,
    /// it is a reason to look.
    pub fn learn_push(&mut self, text: Bytes, now: Timestamp) -> Learned {
        if let Some(code) = Code::parse(&text) {
            // A code that speaks of anything else than this captcha's end is no end: a look will tell.
            let is_end = code.reaction() == Reaction::EndCaptcha;
            return if is_end { self.learn(Look::Code(code)) } else { Learned::Nothing };
        }
        match self.kind.method.pushed() {
            PushedAnswer::Take => self.learn(Look::Solved(Answer::Text(text).into())),
            PushedAnswer::Look => {
                self.pushed = Some(Box::new(PushedText { text, at: now }));
                Learned::Nothing
            }
        }
    }

    /// Takes the pushed text for the answer, when looks have not brought the whole of it for a while.
    pub fn learn_late(&mut self, now: Timestamp) -> Learned {
        match &self.pushed {
            Some(pushed) if pushed.at + PUSHED_WAITS <= now => {
                let answer = Answer::Text(pushed.text.clone());
                self.learn(Look::Solved(answer.into()))
            }
            _ => Learned::Nothing,
        }
    }

    /// Takes what a look showed.
    pub fn learn(&mut self, look: Look) -> Learned {
        if self.is_over() {
            return Learned::Nothing;
        }
        if self.is_solved() {
            return self.learn_price(look);
        }
        let solution = match look {
            Look::Solved(solution) => solution,
            Look::NotReady => {
                self.strange_codes = 0;
                self.is_doubted = false;
                // Alone it does no harm; with another, and a fence between them, it may not either.
                self.batch_max = self.batch_max.max(3);
                return Learned::Nothing;
            }
            Look::Garbage => {
                self.batch_max = 1;
                return Learned::Nothing;
            }
            Look::Code(code) => match self.learn_code(code) {
                Some(solution) => solution,
                None => return Learned::Nothing,
            },
        };
        self.state = State::Solved;
        self.pushed = None;
        let is_complete = solution.answer.is_failed() || solution.price.is_some() || !self.wants_price;
        let solved = Effect::Solved(solution);
        if is_complete { Learned::Last(solved) } else { Learned::More(solved) }
    }

    fn learn_price(&mut self, look: Look) -> Learned {
        let price = if let Look::Solved(solution) = look { solution.price } else { None };
        self.price_looks += 1;
        if price.is_none() && self.price_looks < PRICE_LOOKS_MAX {
            return Learned::Nothing;
        }
        Learned::Last(Effect::Priced(price))
    }

    fn learn_code(&mut self, code: Code) -> Option<Solution> {
        match code.reaction() {
            Reaction::EndCaptcha => Some(Answer::Failed(code).into()),
            // Not of this captcha but of the account or our address: admission has heard of it.
            Reaction::WaitForSlot
            | Reaction::WaitForBalance
            | Reaction::WaitOutBlock(_)
            | Reaction::StopCalling => None,
            Reaction::PollAgain | Reaction::FixCall => {
                self.strange_codes += 1;
                (self.strange_codes >= STRANGE_CODES_MAX).then(|| Answer::Failed(code).into())
            }
        }
    }
}
