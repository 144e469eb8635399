//! What is learned of each method, and of each page that has enough captchas.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use super::estimate::{CLEARLY, Estimate, led_by};
use super::plan::Plan;
use super::{Kind, Timing};
use crate::protocol::methods::Method;
use crate::protocol::page::Page;

/// Pages that are remembered; the one that was used least recently leaves.
pub const PAGES_MAX: usize = 500;
/// Observations before a method's times are believed.
const METHOD_SEEN_MIN: u32 = 20;
/// Observations before a page's own times are believed, where they foresee clearly better than its method's.
const PAGE_SEEN_MIN: u32 = 40;
/// Observations after which a plan is made anew.
const PLAN_EVERY: u32 = 4;
/// What a look is worth, in parts of an interval, while the budget is full: a tenth of a second of one client's time.
const PRICE_PARTS: u32 = 50;
/// Each that many captchas, one is looked at sooner than is best: what lies before the first look is not seen otherwise.
const EXPLORED_EVERY: u32 = 16;
/// The part of a push's time by which its answer may have been there before.
const PUSH_TAKES_PARTS: u32 = 100;
/// Share of pushed answers that come by then.
const PUSHED_UNTIL: f32 = 0.99;
/// Pushes of which the share of lost ones is an average.
const PUSHES_SEEN: f32 = 20.0;
/// When more than this share is lost, looks come as if nothing were pushed.
const PUSHES_LOST_MAX: f32 = 0.25;
/// The share at the start: nobody knows yet whether pushes find the way here. One that arrives is enough.
const PUSHES_LOST_AT_START: f32 = 0.26;

/// One kind's times.
#[derive(Clone, Debug, Default)]
struct Known {
    estimate: Estimate,
    /// How much better a page's own times foresaw than its method's, as a logarithm.
    leads: f32,
    plan: Option<Plan>,
    /// Observations since the plan was made.
    since: u32,
    /// Captchas that were looked at first by the plan.
    planned: u32,
    used: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Times {
    timing: Timing,
    /// How much wider than the interval looks are to be spaced, see [`Times::set_gap`].
    scarcity: u32,
    methods: HashMap<Method, Known>,
    pages: HashMap<(Method, Page), Known>,
    uses: u64,
    /// Share of the latest pushes that were lost.
    pushes_lost: f32,
}

impl Times {
    #[must_use]
    pub fn new(timing: Timing) -> Self {
        Self {
            timing,
            scarcity: 1,
            methods: HashMap::new(),
            pages: HashMap::new(),
            uses: 0,
            pushes_lost: PUSHES_LOST_AT_START,
        }
    }

    /// Captchas that come from now on follow these settings.
    pub const fn set_timing(&mut self, timing: Timing) {
        self.timing = timing;
    }

    /// The time to leave between two looks at present: the less is left of the budgets, the more a look is worth.
    pub fn set_gap(&mut self, gap: Duration) {
        let scarcity = (1..=8).rev().find(|factor| gap >= self.timing.interval * *factor).unwrap_or(1);
        if scarcity != self.scarcity {
            self.scarcity = scarcity;
            for known in self.methods.values_mut().chain(self.pages.values_mut()) {
                known.since = PLAN_EVERY;
            }
        }
    }

    /// Looks found a captcha unsolved at the age `after`, and solved at `until`.
    pub fn looked(&mut self, kind: Kind, after: Duration, until: Duration) {
        if kind.is_pushed {
            self.pushes_lost += (1.0 - self.pushes_lost) / PUSHES_SEEN;
        }
        self.observe(kind, after, until);
    }

    /// A push came of a captcha whose answer a look had found: it was not lost.
    pub fn pushed_late(&mut self) {
        let before = (self.pushes_lost - 1.0 / PUSHES_SEEN) / (1.0 - 1.0 / PUSHES_SEEN);
        self.pushes_lost = before.max(0.0) * (1.0 - 1.0 / PUSHES_SEEN);
    }

    /// An answer was pushed when its captcha had the age `at`.
    pub fn pushed(&mut self, kind: Kind, at: Duration) {
        self.pushes_lost -= self.pushes_lost / PUSHES_SEEN;
        self.observe(kind, at.saturating_sub(at / PUSH_TAKES_PARTS), at);
    }

    fn observe(&mut self, kind: Kind, after: Duration, until: Duration) {
        self.uses += 1;
        let (uses, scarcity, timing) = (self.uses, self.scarcity, self.timing);
        let learn = |known: &mut Known, seen_min| {
            known.used = uses;
            known.estimate.observe(after, until);
            known.since += 1;
            if known.estimate.seen() >= seen_min && (known.plan.is_none() || known.since >= PLAN_EVERY) {
                known.since = 0;
                let interval = timing.interval * scarcity;
                let price = timing.interval / PRICE_PARTS * (scarcity * scarcity);
                known.plan = Some(Plan::new(&known.estimate, interval, price));
            }
        };
        let of_method = self.methods.entry(kind.method).or_default();
        let foreseen = of_method.estimate.likelihood(after, until);
        learn(of_method, METHOD_SEEN_MIN);
        if let Some(page) = kind.page {
            make_room(&mut self.pages, &(kind.method, page));
            let of_page = self.pages.entry((kind.method, page)).or_default();
            of_page.leads = led_by(of_page.leads, of_page.estimate.likelihood(after, until), foreseen);
            learn(of_page, PAGE_SEEN_MIN);
        }
    }

    /// What is known of a kind of captcha: of its page, else of its method; none while looks come as the documentation
    /// advises.
    #[must_use]
    pub fn plan(&self, kind: Kind) -> Option<&Plan> {
        let page = kind.page.and_then(|page| self.pages.get(&(kind.method, page)));
        let page = page.filter(|known| known.leads > CLEARLY).and_then(|known| known.plan.as_ref());
        page.or_else(|| self.methods.get(&kind.method)?.plan.as_ref())
    }

    /// Whether looks at it are only for a push that was lost.
    #[must_use]
    pub fn is_pushed(&self, kind: Kind) -> bool {
        kind.is_pushed && self.pushes_lost <= PUSHES_LOST_MAX
    }

    /// Share of the latest pushes that were lost.
    #[must_use]
    pub const fn pushes_lost(&self) -> f32 {
        self.pushes_lost
    }

    /// The age at which a captcha is best looked at first, and whether it is looked at sooner to learn from it.
    pub fn first_look(&mut self, kind: Kind) -> (Duration, bool) {
        let earliest = self.timing.earliest_look(kind.method);
        if self.is_pushed(kind) {
            return (earliest.max(self.tail(kind)), false);
        }
        let Some(best) = self.plan(kind).map(|plan| plan.next_look(Duration::ZERO, earliest)) else {
            return (earliest, false);
        };
        let known = self.methods.entry(kind.method).or_default();
        known.planned = known.planned.wrapping_add(1);
        if !known.planned.is_multiple_of(EXPLORED_EVERY) {
            return (best, false);
        }
        let sooner = best.saturating_sub(earliest).mul_f32(spread(known.planned / EXPLORED_EVERY));
        (earliest + sooner, true)
    }

    /// The age by which nearly all are solved, from what is known; else the workers' deadline.
    fn tail(&self, kind: Kind) -> Duration {
        let known = self.methods.get(&kind.method).filter(|known| known.estimate.seen() >= METHOD_SEEN_MIN);
        known.map_or_else(|| self.timing.deadline(kind.method), |known| known.estimate.quantile(PUSHED_UNTIL))
    }

    /// The time within which `fraction` of each method's captchas are solved, where it is known.
    pub fn quantiles(&self, fraction: f32) -> impl Iterator<Item = (Method, Duration)> {
        let known = self.methods.iter().filter(|(_, known)| known.estimate.seen() >= METHOD_SEEN_MIN);
        known.map(move |(method, known)| (*method, known.estimate.quantile(fraction)))
    }

    /// Pages that are remembered.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.pages.len()
    }
}

/// Lets the least recently used leave when a new one would be one too many.
fn make_room<K: Copy + Eq + Hash>(known: &mut HashMap<K, Known>, new: &K) {
    if known.len() < PAGES_MAX || known.contains_key(new) {
        return;
    }
    if let Some(oldest) = known.iter().min_by_key(|(_, known)| known.used).map(|(key, _)| *key) {
        known.remove(&oldest);
    }
}

/// Numbers from 0 to 1 that fill the range evenly, whatever their count: multiples of the golden ratio.
fn spread(number: u32) -> f32 {
    const GOLDEN: u32 = 2_654_435_769;
    #[expect(clippy::cast_precision_loss, reason = "a fraction, to three places")]
    let thousandths = (number.wrapping_mul(GOLDEN) >> 22) as f32;
    thousandths / 1_024.0
}
