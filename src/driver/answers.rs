//! The captchas that clients may ask for, and their answers: the map that polls read.
//!
//! A poll takes one shard's read lock for a look-up and touches nothing else: no queue, no other task, no upstream.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;
use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};
use crate::engine::captcha::LIFETIME;
use crate::protocol::answer::Solution;
use crate::protocol::errors::Code;
use crate::protocol::ids::CaptchaId;
use crate::protocol::methods::Method;
use crate::protocol::poll::Verdict;

/// No poll was told of a captcha yet.
const NEVER_TOLD: u64 = 0;

/// What is known of a captcha's price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Price {
    /// Nobody asked.
    Unasked,
    /// Asked for before there was an answer: what it costs is counted when the price is known.
    Asked,
    /// Asked for when the answer had been counted already.
    AskedLate,
    /// Known, or known not to be told.
    Settled,
}

/// How far a client's report of a captcha has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// On its way to the upstream.
    Sending,
    Recorded(Verdict),
    /// The upstream said no, with this code.
    Refused(Code),
}

/// A moment that may not have come yet, in eight bytes: there are as many of these as captchas.
#[derive(Clone, Copy, Debug, Default)]
struct Moment(Option<NonZeroU64>);

impl Moment {
    const fn at(moment: Timestamp) -> Self {
        Self(NonZeroU64::new(moment.as_millis()))
    }

    fn get(self) -> Option<Timestamp> {
        self.0.map(|ms| Timestamp(ms.get()))
    }
}

/// A captcha that a client may ask for.
#[derive(Debug)]
struct Kept {
    owner: Arc<str>,
    method: Method,
    uploaded_at: Timestamp,
    /// When the last look went out that found it unsolved.
    looked_at: Moment,
    /// The earliest moment at which an answer can come.
    answer_from: Timestamp,
    /// When a poll was last told that there is no answer yet; polls write it, and do not wait for each other to do so.
    told_open_at: AtomicU64,
    solution: Option<Arc<Solution>>,
    price: Price,
    report: Option<Box<Report>>,
    /// Made by the first poll that waits.
    changed: Option<watch::Sender<()>>,
}

impl Kept {
    fn owned(&self) -> Owned {
        Owned {
            owner: Arc::clone(&self.owner),
            method: self.method,
            uploaded_at: self.uploaded_at,
            looked_at: self.looked_at.get(),
            price_is_missing: matches!(self.price, Price::Asked | Price::AskedLate),
        }
    }

    /// What its owner's poll is told.
    fn found(&self, with_price: bool) -> Found {
        let price_missing = |is_new| Found::PriceMissing {
            is_new,
            is_solved: self.solution.is_some(),
            method: self.method,
            uploaded_at: self.uploaded_at,
        };
        match (&self.solution, self.price) {
            (Some(solution), _) if !with_price || solution.answer.is_failed() => {
                Found::Solved(Arc::clone(solution))
            }
            (Some(solution), Price::Settled) => Found::Solved(Arc::clone(solution)),
            (_, Price::Unasked) if with_price => price_missing(true),
            (Some(_), _) => price_missing(false),
            (None, _) => Found::NotReady,
        }
    }

    fn outlook(&self) -> Outlook {
        let told = self.told_open_at.load(Ordering::Relaxed);
        Outlook {
            answer_from: self.answer_from,
            told_open_at: (told != NEVER_TOLD).then_some(Timestamp(told)),
        }
    }

    fn told_open(&self, at: Timestamp) {
        self.told_open_at.store(at.as_millis(), Ordering::Relaxed);
    }

    fn is_open_to(&self, owner: &str, now: Timestamp) -> bool {
        *self.owner == *owner && now < self.uploaded_at + LIFETIME
    }
}

/// What a poll finds.
#[derive(Clone, Debug)]
pub enum Found {
    /// Unknown, another client's, or too old: nothing tells which.
    Nothing,
    NotReady,
    /// Solved, and the price that the client asks for is still to come; `is_new` if nobody asked for it before.
    PriceMissing {
        is_new: bool,
        is_solved: bool,
        method: Method,
        uploaded_at: Timestamp,
    },
    Solved(Arc<Solution>),
}

impl Found {
    /// There is no answer yet, or not all that the client asks for.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::NotReady | Self::PriceMissing { .. })
    }
}

/// When a captcha's answer can come, and how its client asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// The earliest moment at which an answer can come.
    pub answer_from: Timestamp,
    /// When a poll was last told that there is none yet.
    pub told_open_at: Option<Timestamp>,
}

/// A captcha as the driver sees it.
#[derive(Clone, Debug)]
pub struct Owned {
    pub owner: Arc<str>,
    pub method: Method,
    pub uploaded_at: Timestamp,
    /// When the last look went out that found it unsolved.
    pub looked_at: Option<Timestamp>,
    /// The client asked for the price, and it is not known.
    pub price_is_missing: bool,
}

/// The captchas of the last 15 minutes.
#[derive(Debug)]
pub struct Answers {
    clock: Clock,
    kept: DashMap<CaptchaId, Kept>,
    /// In the order of their uploads, for forgetting them.
    by_age: Mutex<VecDeque<(Timestamp, CaptchaId)>>,
}

impl Answers {
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, kept: DashMap::new(), by_age: Mutex::default() }
    }

    /// A captcha was accepted. False when the id is taken by one that is not too old: the upstream gave it twice.
    pub fn add(
        &self,
        id: CaptchaId,
        owner: Arc<str>,
        method: Method,
        uploaded_at: Timestamp,
        solution: Option<Solution>,
        report: Option<Verdict>,
    ) -> bool {
        let kept = Kept {
            owner,
            method,
            uploaded_at,
            looked_at: Moment::default(),
            answer_from: uploaded_at,
            told_open_at: AtomicU64::new(NEVER_TOLD),
            price: if solution.as_ref().is_some_and(|solution| solution.price.is_some()) {
                Price::Settled
            } else {
                Price::Unasked
            },
            solution: solution.map(Arc::new),
            report: report.map(Report::Recorded).map(Box::new),
            changed: None,
        };
        let is_live = |old: &Kept| self.clock.now() < old.uploaded_at + LIFETIME;
        match self.kept.entry(id) {
            dashmap::Entry::Occupied(old) if is_live(old.get()) => return false,
            dashmap::Entry::Occupied(mut old) => {
                old.insert(kept);
            }
            dashmap::Entry::Vacant(free) => {
                free.insert(kept);
            }
        }
        self.by_age.lock().unwrap_or_else(PoisonError::into_inner).push_back((uploaded_at, id));
        true
    }

    /// What `owner`'s poll of `id` is told.
    #[must_use]
    pub fn find(&self, id: CaptchaId, owner: &str, with_price: bool) -> Found {
        self.find_or_wait(id, owner, with_price, self.clock.now(), |_| true).0
    }

    /// The same at `now`, with one look at the map; and what `waits` says of a poll for which there is no answer yet. One
    /// that does not wait has been told so with that.
    pub fn find_or_wait(
        &self,
        id: CaptchaId,
        owner: &str,
        with_price: bool,
        now: Timestamp,
        waits: impl FnOnce(Outlook) -> bool,
    ) -> (Found, bool) {
        let Some(kept) = self.kept.get(&id).filter(|kept| kept.is_open_to(owner, now)) else {
            return (Found::Nothing, false);
        };
        let found = kept.found(with_price);
        let waits = found.is_open() && waits(kept.outlook());
        if found.is_open() && !waits {
            kept.told_open(now);
        }
        (found, waits)
    }

    /// The client asks for the price: true for the first who does.
    pub fn ask_price(&self, id: CaptchaId) -> bool {
        let Some(mut kept) = self.kept.get_mut(&id) else { return false };
        let is_first = kept.price == Price::Unasked;
        if is_first {
            kept.price = if kept.solution.is_some() { Price::AskedLate } else { Price::Asked };
        }
        is_first
    }

    /// Resolves when something about `id` changes after this call.
    #[must_use]
    pub fn changes(&self, id: CaptchaId) -> Option<watch::Receiver<()>> {
        let mut kept = self.kept.get_mut(&id)?;
        Some(kept.changed.get_or_insert_with(|| watch::channel(()).0).subscribe())
    }

    /// The answer is known. None when the captcha is forgotten, or had an answer already, which stays.
    pub fn solve(&self, id: CaptchaId, solution: Solution) -> Option<Owned> {
        self.change(id, |kept| {
            if kept.solution.is_some() {
                return false;
            }
            if solution.price.is_some() {
                kept.price = Price::Settled;
            }
            kept.solution = Some(Arc::new(solution));
            true
        })
    }

    /// A look that went out at `at` found it unsolved.
    pub fn unsolved(&self, id: CaptchaId, at: Timestamp) {
        if let Some(mut kept) = self.kept.get_mut(&id) {
            kept.looked_at = Moment::at(at);
        }
    }

    /// No answer comes before `from`: whoever waits may want to know.
    pub fn expect(&self, id: CaptchaId, from: Timestamp) {
        if let Some(mut kept) = self.kept.get_mut(&id) {
            kept.answer_from = from;
            if let Some(changed) = &kept.changed {
                changed.send_replace(());
            }
        }
    }

    /// A poll was told that there is no answer yet.
    pub fn told_open(&self, id: CaptchaId) {
        if let Some(kept) = self.kept.get(&id) {
            kept.told_open(self.clock.now());
        }
    }

    /// The price is known, or known not to be told. With the captcha where its cost has waited for that.
    pub fn price(&self, id: CaptchaId, price: Option<String>) -> Option<Owned> {
        let mut has_waited = false;
        let owned = self.change(id, |kept| {
            has_waited = kept.price == Price::Asked && kept.solution.is_some();
            if let Some(solution) = &kept.solution {
                kept.solution = Some(Arc::new(Solution { price, ..Solution::clone(solution) }));
            }
            kept.price = Price::Settled;
            true
        });
        owned.filter(|_| has_waited)
    }

    /// What is known of a captcha, whoever owns it.
    #[must_use]
    pub fn owned(&self, id: CaptchaId) -> Option<Owned> {
        self.kept.get(&id).map(|kept| kept.owned())
    }

    fn change(&self, id: CaptchaId, change: impl FnOnce(&mut Kept) -> bool) -> Option<Owned> {
        let mut kept = self.kept.get_mut(&id)?;
        if !change(&mut kept) {
            return None;
        }
        // Whoever waited has been told; the next to wait makes a channel of its own.
        if kept.solution.is_some() {
            kept.changed = None;
        }
        Some(kept.owned())
    }

    /// Reserves the report of `owner`'s captcha.
    ///
    /// # Errors
    /// None when there is no such captcha, else how far the report that exists has come.
    pub fn begin_report(&self, id: CaptchaId, owner: &str) -> Result<(), Option<Report>> {
        let now = self.clock.now();
        let mut kept = self.kept.get_mut(&id).filter(|kept| kept.is_open_to(owner, now)).ok_or(None)?;
        if kept.report.is_some() {
            return Err(kept.report.as_deref().cloned());
        }
        kept.report = Some(Box::new(Report::Sending));
        Ok(())
    }

    /// How the report ended; none when it came to nothing and may be made again.
    pub fn end_report(&self, id: CaptchaId, report: Option<Report>) {
        if let Some(mut kept) = self.kept.get_mut(&id) {
            kept.report = report.map(Box::new);
        }
    }

    /// Forgets what was uploaded before `moment`.
    pub fn forget(&self, uploaded_before: Timestamp) {
        let mut by_age = self.by_age.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((_, id)) = by_age.pop_front_if(|(uploaded_at, _)| *uploaded_at < uploaded_before) {
            self.kept.remove_if(&id, |_, kept| kept.uploaded_at < uploaded_before);
        }
    }

    /// Captchas that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

#[cfg(test)]
mod tests;
