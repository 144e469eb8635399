use super::*;
use std::time::Duration;

mod regret;

const TIMING: Timing = Timing {
    interval: Duration::from_secs(5),
    first_look: Duration::from_secs(5),
    first_look_token: Duration::from_secs(15),
    max_ids: 100,
};

fn seconds(count: f32) -> Duration {
    Duration::from_secs_f32(count)
}

fn page(host: &str) -> Option<Page> {
    let query = format!("pageurl=https://{host}/");
    Page::of(&crate::protocol::Form::decode(&query, &bytes::Bytes::new()).unwrap())
}

/// Captchas that were solved between two looks at these ages.
fn observed(times: &mut Times, kind: Kind, count: u32, after: f32, until: f32) {
    for _ in 0..count {
        times.looked(kind, seconds(after), seconds(until));
    }
}

#[test]
fn a_method_is_looked_at_as_documented_until_twenty_of_its_captchas_are_known() {
    let mut times = Times::new(TIMING);
    for (method, earliest) in [(Method::Image, 5.0), (Method::RecaptchaV2, 15.0)] {
        let kind = Kind::from(method);
        observed(&mut times, kind, 19, 39.0, 40.0);
        assert_eq!(times.first_look(kind), (seconds(earliest), false));
        assert!(times.plan(kind).is_none());
        observed(&mut times, kind, 1, 39.0, 40.0);
        assert!(times.first_look(kind).0 > seconds(30.0), "{method:?}");
    }
}

#[test]
fn no_look_is_planned_before_the_documented_minimum_or_within_the_interval() {
    let mut times = Times::new(TIMING);
    let kind = Kind::from(Method::RecaptchaV2);
    observed(&mut times, kind, 100, 3.0, 4.0);
    for _ in 0..100 {
        assert_eq!(times.first_look(kind).0, seconds(15.0));
    }
    let plan = times.plan(kind).unwrap();
    for looked in [15.0, 17.0, 20.0] {
        assert!(plan.next_look(seconds(looked), seconds(looked + 5.0)) >= seconds(looked + 5.0));
    }
}

#[test]
fn a_page_that_takes_another_time_is_known_by_its_own_once_there_are_enough() {
    let mut times = Times::new(TIMING);
    let (slow, other) = (page("slow.example"), page("other.example"));
    let of = |page| Kind { page, ..Kind::from(Method::RecaptchaV2) };
    observed(&mut times, of(other), 100, 19.0, 20.0);
    observed(&mut times, of(slow), 39, 59.0, 60.0);
    assert!(times.first_look(of(slow)).0 < seconds(30.0), "its method's times, one short of enough");
    observed(&mut times, of(slow), 1, 59.0, 60.0);
    assert!(times.first_look(of(slow)).0 > seconds(50.0));
    assert!(times.first_look(of(other)).0 < seconds(30.0));
}

#[test]
fn pages_are_remembered_up_to_a_limit_and_the_least_recently_used_leaves() {
    let mut times = Times::new(TIMING);
    let of =
        |number: usize| Kind { page: page(&format!("{number}.example")), ..Kind::from(Method::RecaptchaV2) };
    observed(&mut times, of(1), 60, 19.0, 20.0);
    observed(&mut times, of(0), 40, 59.0, 60.0);
    for number in 1..PAGES_MAX {
        observed(&mut times, of(number), 1, 19.0, 20.0);
    }
    let is_known = |times: &mut Times| times.first_look(of(0)).0 > seconds(50.0);
    assert_eq!((times.pages(), is_known(&mut times)), (PAGES_MAX, true), "at the limit all are known");
    observed(&mut times, of(PAGES_MAX), 1, 19.0, 20.0);
    assert_eq!(times.pages(), PAGES_MAX);
    assert!(!is_known(&mut times), "one over it the oldest has left");
}

#[test]
fn a_pushed_captcha_is_looked_at_when_nearly_all_are_solved_and_before_that_at_the_workers_deadline() {
    let mut times = Times::new(TIMING);
    for (method, deadline) in [(Method::Image, 90.0), (Method::RecaptchaV2, 300.0)] {
        let kind = Kind { is_pushed: true, ..Kind::from(method) };
        times.pushed(kind, seconds(20.0));
        assert_eq!(times.first_look(kind), (seconds(deadline), false));
        for number in 0_u8..100 {
            times.pushed(kind, seconds(20.0 + f32::from(number) / 10.0));
        }
        let (tail, _) = times.first_look(kind);
        assert!(tail > seconds(28.0) && tail < seconds(34.0), "{tail:?}");
    }
}

#[test]
fn when_pushes_get_lost_looks_come_as_if_nothing_were_pushed_and_back_when_they_arrive_again() {
    let mut times = Times::new(TIMING);
    let kind = Kind { is_pushed: true, ..Kind::from(Method::Image) };
    for _ in 0..50 {
        times.pushed(kind, seconds(9.0));
    }
    assert!(times.is_pushed(kind));
    observed(&mut times, kind, 10, 4.0, 12.0);
    assert!(!times.is_pushed(kind) && times.first_look(kind).0 < seconds(12.0));
    for _ in 0..20 {
        times.pushed(kind, seconds(9.0));
    }
    assert!(times.is_pushed(kind));
    for _ in 0..20 {
        observed(&mut times, kind, 1, 4.0, 12.0);
        times.pushed_late();
    }
    assert!(times.is_pushed(kind), "what comes late is not lost");
}

#[test]
fn the_less_is_left_of_the_budgets_the_fewer_looks_are_planned() {
    let mut times = Times::new(TIMING);
    let kind = Kind::from(Method::RecaptchaV2);
    let learn = |times: &mut Times| {
        for number in 0_u8..60 {
            let solved = 20.0 + f32::from(number) / 2.0;
            times.looked(kind, seconds(solved - 1.0), seconds(solved));
        }
    };
    learn(&mut times);
    let full = times.plan(kind).unwrap().next_look(Duration::ZERO, seconds(15.0));
    times.set_gap(seconds(40.0));
    learn(&mut times);
    let scarce = times.plan(kind).unwrap().next_look(Duration::ZERO, seconds(15.0));
    assert!(scarce > full + seconds(10.0), "{full:?} {scarce:?}");
}

#[test]
fn one_captcha_in_sixteen_is_looked_at_sooner_so_that_faster_times_would_show() {
    let mut times = Times::new(TIMING);
    let kind = Kind::from(Method::Image);
    observed(&mut times, kind, 60, 19.0, 20.0);
    let looks: Vec<_> = (0..160).map(|_| times.first_look(kind)).collect();
    let sooner: Vec<_> = looks.iter().filter(|(_, explores)| *explores).map(|(at, _)| *at).collect();
    assert_eq!(sooner.len(), 10);
    assert!(sooner.iter().all(|at| *at >= seconds(5.0) && *at < seconds(20.0)));
    assert!(sooner.iter().max() > sooner.iter().min());
}

#[test]
fn what_is_learned_can_be_shown_once_it_is_believed() {
    let mut times = Times::new(TIMING);
    observed(&mut times, Method::Image.into(), 19, 9.0, 10.0);
    assert_eq!(times.quantiles(0.5).count(), 0);
    observed(&mut times, Method::Image.into(), 1, 9.0, 10.0);
    let (method, median) = times.quantiles(0.5).next().unwrap();
    assert!(method == Method::Image && median > seconds(8.5) && median < seconds(10.5), "{median:?}");
}
