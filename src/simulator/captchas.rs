//! The captchas that the simulated upstream remembers: who waits for a worker, what was answered, how it was asked.
//!
//! `Waiting -> Solved (charged) | Ended with a code (not charged)`, at the moment that its upload decided; forgotten
//! after 15 minutes either way (protocol.md 3.5). All work per call is on what changed since the last one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use serde::Serialize;

use super::answers::Answer;
use super::values::Money;
use crate::clock::Timestamp;
use crate::protocol::{CaptchaId, ErrorCode};

/// How long a captcha can be asked for and reported.
pub const REMEMBERED: Duration = Duration::from_mins(15);

/// One accepted upload and how it was asked for; the answer itself is not shown.
#[derive(Clone, Debug, Serialize)]
pub struct Captcha {
    pub id: CaptchaId,
    /// The method's label.
    pub method: &'static str,
    /// The same for uploads that say the same, so that what was paid twice is seen.
    pub content: String,
    pub uploaded_at: Timestamp,
    /// When the worker is done.
    pub ready_at: Timestamp,
    pub price: Money,
    pub looks: u64,
    pub first_look_at: Option<Timestamp>,
    pub last_look_at: Option<Timestamp>,
    /// Shortest time between two looks.
    pub smallest_gap_ms: Option<u64>,
    /// When a reply that was not lost on the way told the outcome first.
    pub told_at: Option<Timestamp>,
    /// `reportbad` or `reportgood`.
    pub report: Option<&'static str>,
    pub pingback: Option<String>,
    /// The code it ends with instead of an answer.
    #[serde(skip)]
    pub ends_with: Option<ErrorCode>,
    #[serde(skip)]
    pub answer: Answer,
}

impl Captcha {
    /// The outcome, once the worker is done.
    ///
    /// # Errors
    /// `CAPCHA_NOT_READY` before that, or the code that the captcha ends with.
    pub fn outcome(&self, now: Timestamp) -> Result<&Answer, ErrorCode> {
        if now < self.ready_at {
            return Err(ErrorCode::NotReady);
        }
        self.ends_with.map_or(Ok(&self.answer), Err)
    }

    fn is_forgotten(&self, now: Timestamp) -> bool {
        now > self.uploaded_at + REMEMBERED
    }

    /// Forgotten and settled; one that is still at work stays in the map, unreachable.
    fn is_over(&self, now: Timestamp) -> bool {
        self.is_forgotten(now) && self.ready_at <= now
    }
}

/// Sums over all captchas since the last reset.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CaptchaSums {
    /// Uploads that were accepted.
    pub captchas: u64,
    /// Answers that were found and charged.
    pub solved: u64,
    /// Captchas that ended with a code and were not charged.
    pub ended_with_code: u64,
    /// Captchas whose outcome was told at least once.
    pub told: u64,
    /// Captchas that were charged and forgotten without having been told: money lost.
    pub paid_and_never_told: u64,
    /// Shortest time between two looks at one captcha.
    pub looks_min_gap_ms: Option<u64>,
    /// Shortest time from an upload to the first look at it, by method label.
    pub first_look_min_ms: BTreeMap<&'static str, u64>,
    /// USD charged.
    pub charged: Money,
}

impl CaptchaSums {
    /// Counts an outcome; gives what it costs in hundred-thousandths of a dollar.
    fn finish(&mut self, captcha: &Captcha) -> i64 {
        if captcha.ends_with.is_some() {
            self.ended_with_code += 1;
            return 0;
        }
        self.solved += 1;
        self.charged.0 += captcha.price.0;
        captcha.price.0
    }

    fn forget(&mut self, captcha: &Captcha) {
        let is_lost = captcha.told_at.is_none() && captcha.ends_with.is_none();
        self.paid_and_never_told += u64::from(is_lost);
    }
}

/// The captchas and the account that pays for them.
#[derive(Clone, Debug)]
pub struct Captchas {
    known: BTreeMap<u64, Captcha>,
    waiting: BinaryHeap<Reverse<(Timestamp, u64)>>,
    /// USD left.
    pub balance: Money,
    /// USD that captchas at work will cost.
    reserved: Money,
    pub sums: CaptchaSums,
}

impl Captchas {
    pub const fn new(balance: Money, sums: CaptchaSums) -> Self {
        Self { known: BTreeMap::new(), waiting: BinaryHeap::new(), balance, reserved: Money(0), sums }
    }

    /// Lets the workers finish what is due, charges it, and forgets what is too old.
    pub fn settle(&mut self, now: Timestamp) {
        while let Some(Reverse((ready_at, id))) = self.waiting.peek().copied()
            && ready_at <= now
        {
            self.waiting.pop();
            if let Some(captcha) = self.known.get(&id) {
                self.reserved.0 -= captcha.price.0;
                self.balance.0 -= self.sums.finish(captcha);
            }
        }
        while let Some(oldest) = self.known.first_entry()
            && oldest.get().is_over(now)
        {
            self.sums.forget(&oldest.remove());
        }
    }

    /// The sums, the captchas at work and the balance as they are once what is due has been settled.
    pub fn settled(&self, now: Timestamp) -> (CaptchaSums, usize, Money) {
        let (mut sums, mut balance) = (self.sums.clone(), self.balance);
        let is_due = |entry: &&Reverse<(Timestamp, u64)>| entry.0.0 <= now;
        let mut due = 0;
        for Reverse((_, id)) in self.waiting.iter().filter(is_due) {
            due += 1;
            balance.0 -= self.known.get(id).map_or(0, |captcha| sums.finish(captcha));
        }
        for captcha in self.known.values().take_while(|captcha| captcha.is_over(now)) {
            sums.forget(captcha);
        }
        (sums, self.waiting.len() - due, balance)
    }

    /// Whether the account can pay `price` beside what is at work already.
    pub const fn can_pay(&self, price: Money) -> bool {
        self.balance.0 - self.reserved.0 >= price.0
    }

    /// Captchas at work.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub fn accept(&mut self, captcha: Captcha) {
        self.sums.captchas += 1;
        self.reserved.0 += captcha.price.0;
        self.waiting.push(Reverse((captcha.ready_at, captcha.id.0)));
        self.known.insert(captcha.id.0, captcha);
    }

    /// A captcha that is not forgotten.
    pub fn known(&mut self, id: CaptchaId, now: Timestamp) -> Option<&mut Captcha> {
        self.known.get_mut(&id.0).filter(|captcha| !captcha.is_forgotten(now))
    }

    /// All that are remembered, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Captcha> {
        self.known.values()
    }

    /// A look at one captcha: writes down when, and gives what it shows. `is_lost`: the reply will not be read.
    pub fn look(&mut self, id: CaptchaId, is_lost: bool, now: Timestamp) -> Option<&Captcha> {
        let captcha = self.known.get_mut(&id.0).filter(|captcha| !captcha.is_forgotten(now))?;
        captcha.looks += 1;
        match captcha.last_look_at.replace(now) {
            None => {
                captcha.first_look_at = Some(now);
                let after_ms = now.as_millis().saturating_sub(captcha.uploaded_at.as_millis());
                let least = self.sums.first_look_min_ms.entry(captcha.method).or_insert(after_ms);
                *least = after_ms.min(*least);
            }
            Some(before) => {
                let gap_ms = now.as_millis().saturating_sub(before.as_millis());
                let shorter = |known: Option<u64>| Some(known.map_or(gap_ms, |known| known.min(gap_ms)));
                captcha.smallest_gap_ms = shorter(captcha.smallest_gap_ms);
                self.sums.looks_min_gap_ms = shorter(self.sums.looks_min_gap_ms);
            }
        }
        if !is_lost {
            self.tell(id, now);
        }
        self.known.get(&id.0)
    }

    /// Somebody was told what is known of it.
    pub fn tell(&mut self, id: CaptchaId, now: Timestamp) {
        let Some(captcha) = self.known.get_mut(&id.0) else { return };
        if captcha.ready_at <= now && captcha.told_at.is_none() {
            captcha.told_at = Some(now);
            self.sums.told += 1;
        }
    }
}
