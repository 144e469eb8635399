//! The page as it is written: the template's words for what the value holds.

use std::hash::{DefaultHasher, Hash, Hasher};

use askama::Template;
use rust_decimal::Decimal;

use super::chart::{self, Chart, HEIGHT, WIDTH};
use super::clients::ClientBudget;
use super::facts::Moment;
use super::money::Source;
use super::value::{BudgetShown, Status};
use super::{SCRIPT, STYLE, words};
use crate::clock::Timestamp;
use crate::engine::BudgetMode;

/// Most errors on the page; the JSON has all that are remembered.
const TROUBLES_MAX: usize = 5;

/// See `page.html`. Everything that it shows is escaped by the template.
#[derive(Template)]
#[template(path = "page.html", config = ".askama.toml")]
pub(super) struct Page<'s> {
    s: &'s Status,
    throughput: Chart,
    solve_times: Chart,
    width: usize,
    height: u32,
    troubles_max: usize,
    /// Of the page's files: an open page that was written by another build loads itself anew.
    build: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    clippy::ref_option,
    clippy::unused_self,
    reason = "as the template calls them"
)]
impl<'s> Page<'s> {
    pub fn of(status: &'s Status) -> Self {
        let mut files = DefaultHasher::new();
        (STYLE, SCRIPT, status.version).hash(&mut files);
        Self {
            s: status,
            throughput: chart::throughput(&status.history),
            solve_times: chart::solve_times(&status.history),
            width: WIDTH,
            height: HEIGHT,
            troubles_max: TROUBLES_MAX,
            build: format!("{:016x}", files.finish()),
        }
    }

    pub fn written(&self) -> Result<String, askama::Error> {
        self.render()
    }

    /// `in 42 s`, or `now`.
    fn until(&self, moment: &Moment) -> String {
        let left = moment.0.since(self.s.at.0);
        if left.as_secs() == 0 { "now".to_owned() } else { format!("in {}", words::span(left)) }
    }

    /// When more of a budget is left; nothing where that is a moment away, or nothing is used.
    fn more(&self, budget: &BudgetShown) -> String {
        let is_soon = budget.until.0.since(self.s.at.0).as_secs() == 0;
        if budget.used == 0 || is_soon {
            String::new()
        } else if budget.until.0 == Timestamp::NEVER {
            "more with the next upload".to_owned()
        } else {
            format!("more {}", self.until(&budget.until))
        }
    }

    /// `42 s ago`, or `just now`.
    fn ago(&self, moment: &Moment) -> String {
        let ago = self.s.at.0.since(moment.0);
        if ago.as_secs() == 0 { "just now".to_owned() } else { format!("{} ago", words::span(ago)) }
    }

    /// So many that it is not chance.
    fn many_unsolved(&self) -> bool {
        self.s.recent.unsolved_percent().is_some_and(|percent| percent >= 10)
    }

    fn uptime(&self) -> String {
        words::span(std::time::Duration::from_secs(self.s.uptime_seconds))
    }

    /// The time of day, as it stands in a moment's text.
    fn clock(&self, moment: &Moment) -> String {
        let text = moment.0.to_string();
        format!("{} UTC", text.get(11..19).unwrap_or(&text))
    }

    /// Whether any client on the page has a budget.
    fn has_budgets(&self) -> bool {
        self.s.clients.iter().any(|client| !client.budgets.is_empty())
    }

    /// `$1.20 today`, `350 this month`.
    fn left(&self, budget: &ClientBudget) -> String {
        let amount = match u64::try_from(budget.left) {
            Ok(count) if budget.unit == "captchas" => words::number(count),
            _ => words::usd(budget.left),
        };
        let period = if budget.period == "day" { "today" } else { "this month" };
        format!("{amount} {period}")
    }

    fn balance(&self) -> String {
        self.s.money.balance_usd.map_or_else(|| "–".to_owned(), words::usd)
    }

    /// How long the money lasts.
    fn horizon(&self) -> String {
        let money = &self.s.money;
        match (money.balance_usd, money.spending_usd_per_hour, &money.lasts_until) {
            (None, ..) => "nobody has asked yet".to_owned(),
            (Some(left), ..) if left <= Decimal::ZERO => "used up".to_owned(),
            (_, Some(rate), _) if rate.is_zero() => "nothing is being spent".to_owned(),
            (_, _, Some(until)) => format!("lasts {}", words::about(until.0.since(self.s.at.0))),
            _ => "how long it lasts is not known".to_owned(),
        }
    }

    /// A day's warning, and an hour's.
    fn money_level(&self) -> &'static str {
        let money = &self.s.money;
        if money.balance_usd.is_some_and(|left| left <= Decimal::ZERO) {
            return "bad";
        }
        let Some(until) = &money.lasts_until else { return "" };
        match until.0.since(self.s.at.0).as_secs() / 3_600 {
            0 => "bad",
            1..24 => "waiting",
            _ => "",
        }
    }

    fn spending(&self) -> Option<String> {
        let money = &self.s.money;
        let rate = money.spending_usd_per_hour.filter(|rate| !rate.is_zero())?;
        let source = match money.spending_from? {
            Source::Balance => "by the balance",
            Source::Answers => "by the answers' prices",
        };
        Some(format!("{} an hour {source}", words::usd(rate)))
    }

    fn number<N: Copy + Into<u64>>(&self, count: &N) -> String {
        words::number((*count).into())
    }

    fn rate(&self, count: &u64) -> String {
        format!("{:.1}", self.s.recent.a_minute(*count))
    }

    fn seconds(&self, seconds: &Option<f64>) -> String {
        seconds.map_or_else(|| "–".to_owned(), words::seconds)
    }

    fn is_observing(&self) -> bool {
        self.s.budget_mode == BudgetMode::Observe
    }

    /// What the drawings begin with.
    fn drawn_from(&self) -> &'static str {
        match self.s.history.first() {
            Some(stretch) if stretch.seconds < 60 => "15 min ago",
            _ => "1 h ago",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::{About, Facts};
    use super::*;
    use crate::driver::keeper::Fault;
    use crate::driver::troubles::Trouble;
    use crate::metrics::ClientNumbers;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn page(change: impl FnOnce(&mut Facts)) -> String {
        let mut facts = Facts::quiet(NOW);
        change(&mut facts);
        let about = About { upstream: "https://up.example".to_owned(), budget_mode: BudgetMode::Enforce };
        Page::of(&Status::of(&about, &facts)).written().unwrap()
    }

    #[test]
    fn whatever_a_text_holds_it_stays_text() {
        const HOSTILE: &str = "<img src=x onerror='alert(1)'>\"&";
        let page = page(|facts| {
            let text = HOSTILE.to_owned();
            facts.troubles = vec![Trouble { place: "submit", text, count: 1, first: NOW, last: NOW }];
            facts.store_fault = Some(Fault { why: HOSTILE.to_owned(), since: facts.now });
            facts.numbers.clients = [(HOSTILE.to_owned(), ClientNumbers::default())].into();
        });
        assert!(!page.contains("<img src=x") && !page.contains("'alert"), "{page}");
        assert_eq!(page.matches("onerror").count(), 4, "the trouble, the fault, and the client's name twice");
    }

    #[test]
    fn an_open_gateway_is_not_told_what_to_do_and_one_that_observes_says_so() {
        assert!(!page(|_| ()).contains("What to do:"));
        let about = About { upstream: String::new(), budget_mode: BudgetMode::Observe };
        let page = Page::of(&Status::of(&about, &Facts::quiet(NOW))).written().unwrap();
        assert!(page.contains("Observe mode:"));
    }

    #[test]
    fn states_beside_the_first_are_listed() {
        let page = page(|facts| {
            facts.is_draining = true;
            facts.store_fault = Some(Fault { why: "disk full".to_owned(), since: facts.now });
        });
        assert!(page.contains("<title>Stopping · capgate</title>"));
        assert!(page.contains("<li class=\"bad\" data-state=\"store_down\">") && page.contains("disk full"));
    }
}
