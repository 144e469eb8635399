use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::engine::recount::{Dice, config};

fn at(day: &str, ms: u64) -> Timestamp {
    Timestamp(day.parse::<Day>().unwrap().start().0 + ms)
}

fn usd(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn refused(result: Result<Charge, Denied>) -> Option<(Rule, Option<Timestamp>)> {
    result.err().map(|denied| (denied.rule(), denied.until()))
}

#[test]
fn money_is_spent_to_the_last_tenth_of_a_cent_and_not_one_further() {
    let allowance = Allowance { daily_usd: Some(usd("0.01")), ..Allowance::default() };
    let (mut spending, now) = (Spending::default(), at("2026-11-30", 5));
    for _ in 0..3 {
        spending.take(&allowance, usd("0.00299"), now).unwrap();
    }
    assert_eq!(
        refused(spending.take(&allowance, usd("0.00299"), now)),
        Some((Rule::DailyUsd, Some(at("2026-12-01", 0))))
    );
    spending.take(&allowance, usd("0.00103"), now).unwrap();
    assert!(spending.take(&allowance, usd("0.000000001"), now).is_err());
    spending.take(&allowance, usd("0"), now).unwrap();
    assert_eq!(spending.left(&allowance, now)[0].left, usd("0"));
    spending.take(&allowance, usd("0.00299"), at("2026-12-01", 0)).unwrap();
}

#[test]
fn captchas_of_a_day_and_a_month_are_counted_and_one_more_waits_for_the_next() {
    let allowance = Allowance { daily_captchas: Some(2), monthly_captchas: Some(3), ..Allowance::default() };
    let mut spending = Spending::default();
    let mut take = |day| refused(spending.take(&allowance, usd("1"), at(day, 0)));
    assert_eq!((take("2028-02-28"), take("2028-02-28")), (None, None));
    assert_eq!(take("2028-02-28"), Some((Rule::DailyCaptchas, Some(at("2028-02-29", 0)))));
    assert_eq!(take("2028-02-29"), None);
    assert_eq!(take("2028-02-29"), Some((Rule::MonthlyCaptchas, Some(at("2028-03-01", 0)))));
    assert_eq!((take("2028-03-01"), take("2028-03-01")), (None, None));
}

#[test]
fn as_many_are_open_as_may_be_until_one_ends() {
    let allowance = Allowance { open: Some(2), ..Allowance::default() };
    let (mut spending, now) = (Spending::default(), at("2026-01-01", 0));
    let first = spending.take(&allowance, usd("1"), now).unwrap();
    spending.take(&allowance, usd("1"), now).unwrap();
    assert_eq!(spending.take(&allowance, usd("1"), now), Err(Denied::TooManyOpen(2)));
    spending.give_back(first);
    spending.take(&allowance, usd("1"), now).unwrap();
    spending.close();
    spending.take(&allowance, usd("1"), now).unwrap();
    assert_eq!(spending.open(), 2);
}

#[test]
fn a_refusal_by_one_limit_spends_none_of_the_others_and_the_longest_is_told() {
    let allowance = Allowance {
        open: Some(1),
        daily_captchas: Some(1),
        monthly_usd: Some(usd("1")),
        monthly_captchas: Some(1),
        ..Allowance::default()
    };
    let (mut spending, now) = (Spending::default(), at("2026-01-01", 0));
    spending.take(&allowance, usd("1"), now).unwrap();
    let before = spending.clone();
    let told = spending.take(&allowance, usd("1"), now).unwrap_err();
    assert_eq!((told.rule(), told.until()), (Rule::MonthlyUsd, Some(at("2026-02-01", 0))));
    assert_eq!(
        told.to_string(),
        "another captcha would go past the client's limit of 1 USD a month, what is under way counted, until 2026-02-01T00:00:00.000Z"
    );
    assert_eq!(spending, before);
}

#[test]
fn what_ends_after_midnight_stays_with_the_day_on_which_it_was_taken() {
    let allowance =
        Allowance { daily_usd: Some(usd("2")), monthly_usd: Some(usd("9")), ..Allowance::default() };
    let mut spending = Spending::default();
    let mut late = spending.take(&allowance, usd("2"), at("2026-12-31", 86_399_999)).unwrap();
    let now = at("2027-01-01", 0);
    spending.take(&allowance, usd("1"), now).unwrap();
    spending.close();
    spending.put_right(&mut late, usd("0.5"));
    let left: Vec<_> = spending.left(&allowance, now).iter().map(|left| left.left).collect();
    assert_eq!(left, [usd("1"), usd("8")]);
    // Long over, and forgotten.
    spending.take(&allowance, usd("1"), at("2027-01-03", 0)).unwrap();
    spending.put_right(&mut late, usd("9"));
    spending.give_back(late);
    assert_eq!(spending.left(&allowance, at("2027-01-03", 0))[0].left, usd("1"));
}

#[test]
fn a_warning_comes_once_in_a_period_and_at_its_part_exactly() {
    let allowance = Allowance {
        daily_captchas: Some(10),
        monthly_captchas: Some(1_000),
        warning: usd("0.8"),
        ..Allowance::default()
    };
    let mut spending = Spending::default();
    let mut warned = |day| {
        spending.take(&allowance, usd("1"), at(day, 0)).unwrap();
        let warnings = spending.warnings(&allowance, at(day, 0));
        warnings.iter().map(|left| (left.quota, left.left)).collect::<Vec<_>>()
    };
    for day in ["2026-05-01", "2026-05-02"] {
        for _ in 0..7 {
            assert_eq!(warned(day), []);
        }
        assert_eq!(warned(day), [(Quota::DailyCaptchas, usd("2"))]);
        assert_eq!(warned(day), []);
    }
}

#[test]
fn what_was_spent_before_a_restart_is_spent_and_a_limit_that_was_lowered_leaves_nothing() {
    let mut spending = Spending::default();
    let now = at("2026-05-20", 0);
    spending.restore("2026-05-03".parse().unwrap(), Tally { usd: usd("4"), captchas: 40 });
    spending.restore("2026-05-20".parse().unwrap(), Tally { usd: usd("1.5"), captchas: 15 });
    spending.reopen();
    let allowance = Allowance {
        open: Some(1),
        daily_usd: Some(usd("2")),
        monthly_usd: Some(usd("5")),
        ..Allowance::default()
    };
    let left: Vec<_> = spending.left(&allowance, now).iter().map(|left| left.left).collect();
    assert_eq!(left, [usd("0.5"), usd("0")]);
    assert_eq!(refused(spending.take(&allowance, usd("0.1"), now)).unwrap().0, Rule::MonthlyUsd);
    let open_only = Allowance { open: Some(1), ..Allowance::default() };
    assert_eq!(spending.take(&open_only, usd("0.1"), now), Err(Denied::TooManyOpen(1)));
}

#[test]
fn sums_beyond_all_money_do_not_panic() {
    let mut spending = Spending::default();
    let (day, most) = (Day(20_000), Tally { usd: Decimal::MAX, captchas: u64::MAX });
    spending.restore(day, most);
    spending.restore(day, most);
    let allowance =
        Allowance { daily_usd: Some(Decimal::MAX), daily_captchas: Some(u64::MAX), ..Allowance::default() };
    assert_eq!(refused(spending.take(&allowance, Decimal::ONE, day.start())).unwrap().0, Rule::DailyCaptchas);
    assert_eq!(spending.left(&allowance, day.start())[0].left, Decimal::ZERO);
}

/// One captcha as the naive count has it.
struct Taken {
    charge: Charge,
    is_bought: bool,
    is_open: bool,
}

/// What has to stay within a limit, counted anew from all that was ever taken.
fn recount(taken: &[Taken], since: Day) -> (Decimal, u64) {
    let counted = taken.iter().filter(|one| one.is_bought && one.charge.day >= since);
    counted.fold((Decimal::ZERO, 0), |(usd, count), one| (usd + one.charge.usd, count + 1))
}

/// Plays a random history of some weeks.
fn play(seed: u64, steps: usize) {
    let mut dice = Dice::new(seed);
    let cents = |cents| Decimal::new(i64::try_from(cents).unwrap(), 2);
    let allowance = Allowance {
        open: Some(7),
        daily_usd: Some(cents(300)),
        daily_captchas: Some(40),
        monthly_usd: Some(cents(2_500)),
        monthly_captchas: Some(400),
        warning: Decimal::ONE,
    };
    let (mut spending, mut taken, mut now) = (Spending::default(), Vec::<Taken>::new(), at("2026-01-20", 0));
    for _ in 0..steps {
        now = now + Duration::from_millis(dice.roll(1_200_000));
        let (today, price) = (Day::of(now), cents(dice.roll(20)));
        let (day, month) = (recount(&taken, today), recount(&taken, today.month()));
        let open = taken.iter().filter(|one| one.is_open).count();
        let has_room = open < 7
            && day.0 + price <= cents(300)
            && day.1 < 40
            && month.0 + price <= cents(2_500)
            && month.1 < 400;
        let left: Vec<_> = spending.left(&allowance, now).iter().map(|left| left.left).collect();
        let naive = [cents(300) - day.0, (40 - day.1).into(), cents(2_500) - month.0, (400 - month.1).into()];
        assert_eq!(left, naive.map(|left: Decimal| left.max(Decimal::ZERO)), "seed {seed}");
        let result = spending.take(&allowance, price, now);
        assert_eq!(result.is_ok(), has_room, "seed {seed}: {result:?}");
        taken.extend(result.map(|charge| Taken { charge, is_bought: true, is_open: true }));
        let open: Vec<usize> = (0..taken.len()).filter(|index| taken[*index].is_open).collect();
        if open.is_empty() || dice.chance(30) {
            continue;
        }
        let one = &mut taken[open[dice.place(open.len())]];
        one.is_open = false;
        match dice.roll(4) {
            0 => {
                one.is_bought = false;
                spending.give_back(one.charge);
            }
            1 => spending.close(),
            2 => {
                spending.close();
                spending.put_right(&mut one.charge, Decimal::ZERO);
            }
            _ => {
                spending.close();
                // Never more than was taken for it.
                let usd = one.charge.usd - cents(dice.roll(3)).min(one.charge.usd);
                spending.put_right(&mut one.charge, usd);
            }
        }
    }
    assert!(taken.len() > steps / 10, "the limits left room for hardly anything");
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_random_history_keeps_to_the_limits_as_a_naive_count_has_them(seed in any::<u64>()) {
        play(seed, 3_000);
    }
}
