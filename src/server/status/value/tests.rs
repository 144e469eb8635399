use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;

use super::super::clients::CLIENTS_MAX;
use super::super::facts::Standing;
use super::super::money::Source;
use super::budget as budget_shown;
use super::*;
use crate::clock::Timestamp;
use crate::driver::keeper::Fault;
use crate::driver::money::Balance;
use crate::engine::BlockRule;
use crate::engine::allowance::Left;
use crate::engine::allowance::Quota;
use crate::engine::refusal::Why;
use crate::metrics::ClientNumbers;
use crate::protocol::errors::ErrorCode;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn about() -> About {
    About { upstream: "http://127.0.0.1:1".to_owned(), budget_mode: BudgetMode::Enforce }
}

fn status(change: impl FnOnce(&mut Facts)) -> Status {
    let mut facts = Facts::quiet(NOW);
    change(&mut facts);
    Status::of(&about(), &facts)
}

fn usd(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn hours(count: u64) -> Duration {
    Duration::from_hours(count)
}

#[test]
fn a_quiet_gateway_is_open_ready_and_knows_nothing_of_money() {
    let status = status(|_| ());
    assert_eq!((status.state.name, status.also.len(), status.ready), (State::Open, 0, true));
    assert_eq!((status.store, status.history.len(), status.uptime_seconds), ("up", 1, 0));
    let unknown = Money {
        balance_usd: None,
        told: None,
        spending_usd_per_hour: Some(Decimal::ZERO),
        spending_from: Some(Source::Answers),
        lasts_until: None,
    };
    assert_eq!(status.money, unknown);
}

#[test]
fn it_is_not_ready_while_it_stops_the_key_is_refused_or_the_store_is_down_and_ready_in_a_block() {
    assert!(!status(|facts| facts.is_draining = true).ready);
    let waiting = |why| status(|facts| facts.waits = vec![Wait { why, since: NOW, until: NOW + hours(1) }]);
    assert!(!waiting(Why::KeyRefused(ErrorCode::KeyDoesNotExist.into())).ready);
    assert!(waiting(Why::Blocked(ErrorCode::Block1005.into())).ready);
    let fault = Fault { why: "disk full".to_owned(), since: NOW };
    let down = status(|facts| facts.store_fault = Some(fault));
    assert_eq!((down.ready, down.store, down.state.name), (false, "down", State::StoreDown));
    assert_eq!(down.state.detail.as_deref(), Some("disk full"));
}

#[test]
fn money_lasts_from_when_it_was_told_at_the_rate_at_which_the_balance_falls() {
    let money = status(|facts| {
        let told = |ago, usd_| Balance { at: NOW - hours(ago), usd: usd(usd_) };
        facts.balances.add(told(3, "14"));
        facts.balances.add(told(1, "12"));
    })
    .money;
    assert_eq!((money.balance_usd, money.spending_from), (Some(usd("12")), Some(Source::Balance)));
    assert_eq!(money.spending_usd_per_hour.map(|rate| rate.normalize()), Some(Decimal::ONE));
    assert_eq!(money.lasts_until, Some(Moment(NOW + hours(11))));
}

#[test]
fn where_the_balance_was_told_once_the_answers_show_what_is_spent() {
    let with = |cost: &str| {
        let mut facts = Facts::quiet(NOW - Duration::from_mins(30));
        facts.now = NOW;
        facts.hour.note(NOW, |slot| slot.cost = usd(cost));
        facts.balances.add(Balance { at: NOW, usd: usd("10") });
        Status::of(&about(), &facts).money
    };
    let spending = with("0.5");
    assert_eq!(spending.spending_usd_per_hour.map(|rate| rate.normalize()), Some(Decimal::ONE));
    assert_eq!(
        (spending.spending_from, spending.lasts_until),
        (Some(Source::Answers), Some(Moment(NOW + hours(10))))
    );
    assert_eq!(with("0").lasts_until, None, "nothing is spent, so it has no end");
}

#[test]
fn a_debt_has_no_horizon() {
    let money = status(|facts| {
        facts.balances.add(Balance { at: NOW, usd: usd("-1") });
        facts.hour.note(NOW, |slot| slot.cost = usd("1"));
    })
    .money;
    assert_eq!((money.balance_usd, money.lasts_until), (Some(usd("-1")), None));
}

#[test]
fn fifty_clients_are_listed_by_name_and_of_more_those_with_most_at_present() {
    let with = |count: u64| {
        status(|facts| {
            facts.numbers.clients = (0..count)
                .map(|number| {
                    let of = ClientNumbers { open: number, ..ClientNumbers::default() };
                    (format!("team-{number:02}"), of)
                })
                .collect::<BTreeMap<_, _>>();
        })
    };
    let (most, more) = (with(CLIENTS_MAX as u64), with(CLIENTS_MAX as u64 + 2));
    assert_eq!((most.clients.len(), most.clients_left_out), (50, 0));
    assert_eq!(most.clients[0].name, "team-00");
    assert_eq!((more.clients.len(), more.clients_left_out), (50, 2));
    assert_eq!((more.clients[0].name.as_str(), more.clients[49].numbers.open), ("team-51", 2));
}

#[test]
fn a_clients_tightest_budget_is_the_one_of_which_the_smallest_part_is_left() {
    let left = |quota, limit: u32, left: u32| Left {
        quota,
        limit: limit.into(),
        left: left.into(),
        until: NOW + hours(2),
    };
    let status = status(|facts| {
        let names = ["poor", "rich", "stopped"].map(|name| (name.to_owned(), ClientNumbers::default()));
        facts.numbers.clients = BTreeMap::from(names);
        let poor = vec![left(Quota::DailyUsd, 10, 1), left(Quota::MonthlyCaptchas, 100, 50)];
        let standings = [
            ("poor", Standing { is_stopped: false, left: poor }),
            ("stopped", Standing { is_stopped: true, left: vec![left(Quota::DailyCaptchas, 0, 0)] }),
            ("gone", Standing::default()),
        ];
        facts.standings = standings.map(|(name, standing)| (name.to_owned(), standing)).into();
    });
    let [poor, rich, stopped] = &status.clients[..] else { panic!("{:?}", status.clients) };
    let tightest = poor.tightest().unwrap();
    assert_eq!((tightest.period, tightest.unit, tightest.left_percent()), ("day", "USD", 10));
    assert_eq!((tightest.level(), poor.stopped), (Level::Waiting, false));
    assert_eq!((rich.tightest(), rich.stopped), (None, false));
    assert_eq!((stopped.tightest().unwrap().level(), stopped.stopped), (Level::Bad, true));
    let json = serde_json::to_value(poor).unwrap();
    let budget = serde_json::json!({
        "period": "day", "unit": "USD", "limit": 10.0, "left": 1.0, "until": "2023-11-15T00:13:20.000Z"
    });
    assert_eq!(json["budgets"][0], budget);
}

#[test]
fn a_budget_shows_how_near_its_rule_is() {
    let budget = |used, limit| {
        let state = BudgetState { rule: BlockRule::ResCalls, limit, used, left: limit - used, until: NOW };
        let shown = budget_shown(&state);
        (shown.used_percent(), shown.level())
    };
    assert_eq!(budget(0, 100), (0, Level::Good));
    assert_eq!(budget(69, 100), (69, Level::Good));
    assert_eq!(budget(70, 100), (70, Level::Waiting));
    assert_eq!(budget(95, 100), (95, Level::Bad));
    assert_eq!(budget(0, 0), (0, Level::Good));
}

#[test]
fn the_json_has_numbers_where_numbers_are_and_moments_in_utc() {
    let status = status(|facts| {
        facts.balances.add(Balance { at: NOW, usd: usd("12.50") });
        let why = Why::KeyRefused(ErrorCode::KeyDoesNotExist.into());
        facts.waits = vec![Wait { why, since: NOW, until: Timestamp::NEVER }];
        let trouble = Trouble { place: "submit", text: "<b>".to_owned(), count: 2, first: NOW, last: NOW };
        facts.troubles = vec![trouble];
    });
    let json = serde_json::to_value(&status).unwrap();
    assert_eq!(json["at"], "2023-11-14T22:13:20.000Z");
    assert_eq!(json["money"]["balance_usd"], 12.5);
    assert_eq!((&json["state"]["name"], &json["state"]["level"]), (&"key_refused".into(), &"bad".into()));
    assert_eq!(
        (&json["state"]["until"], &json["waits"][0]["until"]),
        (&serde_json::Value::Null, &"never".into())
    );
    assert_eq!((&json["troubles"][0]["text"], &json["budget_mode"]), (&"<b>".into(), &"enforce".into()));
}
