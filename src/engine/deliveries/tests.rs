use super::*;

const SECOND: Duration = Duration::from_secs(1);
const START: Timestamp = Timestamp(1_000_000);

fn pace() -> Pace {
    Pace {
        first_wait: SECOND * 5,
        longest_wait: SECOND * 600,
        longest_rest: SECOND * 60,
        retry_for: SECOND * 3_600,
        line_max: 4,
        in_flight_max: 16,
    }
}

fn line(client: &str, receiver: &str) -> LineName {
    LineName { client: client.into(), receiver: receiver.into() }
}

fn deliveries(lines: &[(&str, std::ops::Range<u64>)]) -> Deliveries {
    let mut deliveries = Deliveries::new(pace());
    for (receiver, ids) in lines {
        for id in ids.clone() {
            deliveries.add(CaptchaId(id), line("team-a", receiver), START);
        }
    }
    deliveries
}

fn attempts(deliveries: &mut Deliveries, now: Timestamp) -> Vec<u64> {
    deliveries.plan(now).attempts.into_iter().map(|id| id.0).collect()
}

fn settle(deliveries: &mut Deliveries, id: u64, attempt: Attempt, now: Timestamp) -> Settled {
    deliveries.settle(CaptchaId(id), attempt, 0.0, now)
}

#[test]
fn a_delivery_is_tried_at_once_then_ever_later_and_for_the_last_time_when_its_hour_is_over() {
    let mut deliveries = deliveries(&[("a", 1..2)]);
    let (mut now, mut moments) = (START, Vec::new());
    loop {
        assert_eq!(attempts(&mut deliveries, now), [1]);
        assert_eq!(attempts(&mut deliveries, now), [0; 0], "one attempt at a time");
        moments.push(now.since(START).as_secs());
        match settle(&mut deliveries, 1, Attempt::Refused, now) {
            Settled::Again(at) => {
                assert_eq!(deliveries.next_at(), at);
                assert_eq!(deliveries.plan(Timestamp(at.0 - 1)), Plan::default());
                now = at;
            }
            settled => {
                assert_eq!(settled, Settled::Dead);
                break;
            }
        }
    }
    assert_eq!(moments, [0, 5, 15, 35, 75, 155, 315, 635, 1_235, 1_835, 2_435, 3_035, 3_600]);
    assert!(deliveries.is_empty());
    assert_eq!(deliveries.next_at(), Timestamp::NEVER);
}

#[test]
fn jitter_shortens_a_wait_by_up_to_a_half_and_never_lengthens_it() {
    for (jitter, seconds) in [(0.0, 5_000), (0.5, 3_750), (1.0, 2_500), (7.0, 2_500)] {
        let mut deliveries = deliveries(&[("a", 1..2)]);
        deliveries.plan(START);
        let again = deliveries.settle(CaptchaId(1), Attempt::Refused, jitter, START);
        assert_eq!(again, Settled::Again(Timestamp(START.0 + seconds)));
    }
}

#[test]
fn a_line_has_four_in_flight_and_one_while_its_receiver_cannot_be_reached() {
    let mut deliveries = deliveries(&[("a", 1..10)]);
    assert_eq!(attempts(&mut deliveries, START), [1, 2, 3, 4]);
    for id in 1..=4 {
        settle(&mut deliveries, id, Attempt::Unreachable, START);
    }
    // Together they are one failure.
    assert_eq!(attempts(&mut deliveries, START + SECOND * 4), [0; 0]);
    assert_eq!(deliveries.next_at(), START + SECOND * 5);
    let now = START + SECOND * 5;
    assert_eq!(attempts(&mut deliveries, now), [5], "one, to find out");
    assert_eq!(attempts(&mut deliveries, now), [0; 0]);
    settle(&mut deliveries, 5, Attempt::Unreachable, now);
    let now = now + SECOND * 10;
    assert_eq!(deliveries.next_at(), now, "twice as long");
    assert_eq!(attempts(&mut deliveries, now), [6]);
    assert_eq!(settle(&mut deliveries, 6, Attempt::Delivered, now), Settled::Delivered);
    assert_eq!(attempts(&mut deliveries, now), [7, 8, 9, 1], "it is back: all go");
    settle(&mut deliveries, 7, Attempt::Delivered, now);
    assert_eq!(attempts(&mut deliveries, now), [2], "what failed before has not to wait for itself");
}

#[test]
fn a_line_never_rests_longer_than_a_minute() {
    let mut deliveries = deliveries(&[("a", 1..100)]);
    let mut now = START;
    for _ in 0..20 {
        for id in attempts(&mut deliveries, now) {
            settle(&mut deliveries, id, Attempt::Unreachable, now);
        }
        assert!(deliveries.next_at() <= now + SECOND * 60);
        now = deliveries.next_at();
    }
}

#[test]
fn a_receiver_that_refuses_one_delivery_gets_the_others_meanwhile() {
    let mut deliveries = deliveries(&[("a", 1..4)]);
    assert_eq!(attempts(&mut deliveries, START), [1, 2, 3]);
    settle(&mut deliveries, 1, Attempt::Refused, START);
    deliveries.add(CaptchaId(4), line("team-a", "a"), START);
    assert_eq!(attempts(&mut deliveries, START), [4]);
}

#[test]
fn dead_receivers_hold_one_place_each_and_delay_nobody_else() {
    let mut deliveries = Deliveries::new(pace());
    let hosts: Vec<String> = (0..10).map(|host| format!("dead-{host}")).collect();
    let mut id = 0;
    for host in &hosts {
        for _ in 0..100 {
            id += 1;
            deliveries.add(CaptchaId(id), line("team-a", host), START);
        }
    }
    let mut now = START;
    // Once each is known to be dead …
    for _ in 0..10 {
        for id in attempts(&mut deliveries, now) {
            settle(&mut deliveries, id, Attempt::Unreachable, now);
        }
        now = now + SECOND * 60;
    }
    // … all hang at the same time, and one more finds its place.
    let hanging = attempts(&mut deliveries, now);
    assert_eq!(hanging.len(), hosts.len());
    deliveries.add(CaptchaId(9_999), line("team-b", "alive"), now);
    assert_eq!(attempts(&mut deliveries, now), [9_999]);
}

#[test]
fn lines_take_turns_and_there_are_never_more_in_flight_than_allowed() {
    let mut deliveries =
        deliveries(&[("a", 1..30), ("b", 30..32), ("c", 40..60), ("d", 60..80), ("e", 80..99)]);
    let first = attempts(&mut deliveries, START);
    assert_eq!(first.len(), pace().in_flight_max);
    assert_eq!(first[..5], [1, 30, 40, 60, 80], "each line's first before any line's second");
    assert_eq!(deliveries.plan(START), Plan::default());
    // Only an end is due until a place is free.
    assert_eq!(deliveries.next_at(), Timestamp(START.0 + 3_600_000 + 1));
    settle(&mut deliveries, 1, Attempt::Delivered, START);
    assert_eq!(deliveries.next_at(), START);
    assert_eq!(deliveries.plan(START).attempts.len(), 1);
}

#[test]
fn what_is_older_than_an_hour_is_dead_whether_it_could_be_tried_or_not() {
    let mut deliveries = deliveries(&[("a", 1..8)]);
    for id in attempts(&mut deliveries, START) {
        settle(&mut deliveries, id, Attempt::Unreachable, START);
    }
    let end = START + SECOND * 3_600;
    assert_eq!(deliveries.plan(end).dead, [], "the last attempt is made at this moment");
    let Plan { attempts, dead } = deliveries.plan(Timestamp(end.0 + 1));
    assert_eq!((attempts, dead.len()), (Vec::new(), 6), "one has its last chance");
    assert_eq!(deliveries.len(), 1);
    let last = settle(&mut deliveries, 5, Attempt::Refused, Timestamp(end.0 + 9));
    assert_eq!((last, deliveries.len()), (Settled::Dead, 0));
}

#[test]
fn what_is_given_up_in_flight_frees_its_place_and_what_is_not_in_flight_stays() {
    let mut deliveries = deliveries(&[("a", 1..6)]);
    assert_eq!(attempts(&mut deliveries, START), [1, 2, 3, 4]);
    deliveries.abandon(CaptchaId(5));
    deliveries.abandon(CaptchaId(1));
    assert_eq!(attempts(&mut deliveries, START), [5]);
    deliveries.add(CaptchaId(5), line("team-a", "b"), START);
    assert_eq!(deliveries.len(), 4, "what is known stays as it is");
    assert_eq!(settle(&mut deliveries, 1, Attempt::Delivered, START), Settled::Dead, "it is over");
}
