//! The learned schedule against two others, captcha by captcha, for distributions of solve times: the documentation's
//! (the documented minimum, then every 5 s), and the clairvoyant's, which knows the distribution, though not what a
//! single captcha will take, and keeps the same bounds.

use std::f64::consts::TAU;

use super::*;
use crate::engine::timing::estimate::share;

/// A stream of numbers from 0 to 1 (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        #[expect(clippy::cast_precision_loss, reason = "32 bits")]
        let number = ((bits ^ (bits >> 31)) >> 32) as f64;
        number / 4_294_967_296.0
    }

    fn lognormal(&mut self, median: f64, spread: f64) -> f64 {
        let (one, other) = (self.next().max(1e-12), self.next());
        median * (spread * (-2.0 * one.ln()).sqrt() * (TAU * other).cos()).exp()
    }
}

/// Solve times in seconds; the captcha's number is for what was recorded.
type Distribution = fn(&mut Numbers, usize) -> f64;

/// Solve times of a hundred images as the simulator gave them, in their order.
#[rustfmt::skip]
const RECORDED: [f64; 100] = [
    10.3, 6.8, 4.6, 7.7, 11.5, 7.1, 6.0, 5.8, 9.3, 5.8, 6.7, 7.9, 4.0, 8.5, 19.3, 8.5, 14.9, 7.9, 5.1, 7.6,
    9.9, 9.6, 9.7, 10.7, 8.2, 9.5, 9.2, 5.1, 4.9, 6.7, 9.5, 11.7, 6.8, 12.1, 16.3, 16.0, 6.9, 12.4, 9.5, 6.1,
    23.3, 14.6, 8.1, 10.8, 12.8, 14.1, 5.6, 6.7, 5.8, 9.2, 7.5, 7.4, 14.6, 4.1, 7.9, 12.5, 10.8, 14.2, 9.8, 6.2,
    11.4, 12.5, 5.5, 4.3, 4.8, 9.3, 5.9, 10.2, 9.3, 8.1, 11.9, 15.1, 7.2, 6.4, 11.0, 5.6, 11.6, 9.3, 10.5, 8.3,
    5.0, 15.8, 11.1, 5.7, 7.1, 8.7, 6.7, 21.6, 5.7, 8.0, 11.9, 8.9, 16.6, 8.3, 5.8, 6.2, 6.4, 9.4, 10.7, 7.0,
];

/// Mean delay and looks of a schedule, over captchas `from` on.
#[derive(Clone, Copy, Default)]
struct Score {
    delay: f64,
    looks: f64,
}

/// Looks at a captcha that takes `solved` until it is solved; what was seen, and the score.
fn look(
    solved: f64,
    first: Duration,
    mut next: impl FnMut(Duration) -> Duration,
) -> (Duration, Duration, Score) {
    let (mut after, mut at, mut looks) = (Duration::ZERO, first, 1.0);
    while at.as_secs_f64() < solved {
        after = at;
        at = next(at);
        assert!(at >= after + TIMING.interval);
        looks += 1.0;
    }
    (after, at, Score { delay: at.as_secs_f64() - solved, looks })
}

struct Played {
    learned: Vec<Score>,
    documented: Vec<Score>,
    clairvoyant: Vec<Score>,
}

const CAPTCHAS: usize = 3_000;

fn play(method: Method, draw: Distribution) -> Played {
    let kind = Kind::from(method);
    let earliest = TIMING.earliest_look(method);
    let known = clairvoyant(draw);
    let first = known.next_look(Duration::ZERO, earliest);
    let (mut times, mut numbers) = (Times::new(TIMING), Numbers(7));
    let mut played = Played { learned: vec![], documented: vec![], clairvoyant: vec![] };
    for number in 0..CAPTCHAS {
        let solved = draw(&mut numbers, number);
        let (at, _) = times.first_look(kind);
        assert!(at >= earliest);
        let plan = times.plan(kind).cloned();
        let (after, until, score) = look(solved, at, |at| {
            let earliest = at + TIMING.interval;
            plan.as_ref().filter(|plan| plan.knows(at)).map_or(earliest, |plan| plan.next_look(at, earliest))
        });
        times.looked(kind, after, until);
        played.learned.push(score);
        played.documented.push(look(solved, earliest, |at| at + TIMING.interval).2);
        played.clairvoyant.push(look(solved, first, |at| known.next_look(at, at + TIMING.interval)).2);
    }
    played
}

/// The best schedule for what the distribution is in the end, if looks cost nothing.
fn clairvoyant(draw: Distribution) -> Plan {
    const STEP: f32 = 0.25;
    const SAMPLES: usize = 40_000;
    let mut numbers = Numbers(99);
    let mut times: Vec<f64> = (0..SAMPLES).map(|number| draw(&mut numbers, number)).collect();
    times.sort_unstable_by(f64::total_cmp);
    let end = times[SAMPLES * 999 / 1_000] + 10.0;
    let solved = (0..u16::MAX)
        .map(|step| f64::from(step) * f64::from(STEP))
        .take_while(|at| *at < end)
        .map(|at| share(times.partition_point(|time| *time <= at)) / share(SAMPLES))
        .collect();
    Plan::of(solved, STEP, TIMING.interval.as_secs_f32(), 0.0)
}

fn mean(scores: &[Score]) -> Score {
    let count = f64::from(u32::try_from(scores.len()).unwrap());
    let sum = |part: fn(&Score) -> f64| scores.iter().map(part).sum::<f64>() / count;
    Score { delay: sum(|score| score.delay), looks: sum(|score| score.looks) }
}

/// Name, method, distribution; how much later than the clairvoyant's answers the learned ones may come, in seconds.
const DISTRIBUTIONS: &[(&str, Method, Distribution, f64)] = &[
    // The clairvoyant knows each of the hundred to the tenth of a second.
    ("recorded images", Method::Image, |_, number| RECORDED[number % RECORDED.len()], 0.4),
    ("lognormal 9 s", Method::Image, |numbers, _| numbers.lognormal(9.0, 0.35), 0.2),
    ("lognormal 28 s", Method::RecaptchaV2, |numbers, _| numbers.lognormal(28.0, 0.35), 0.2),
    ("narrow 12 s", Method::Image, |numbers, _| numbers.lognormal(12.0, 0.08), 0.5),
    ("constant 8 s", Method::Image, |_, _| 8.0, 0.7),
    (
        "7 s or 40 s",
        Method::Image,
        |numbers, _| {
            if numbers.next() < 0.6 { numbers.lognormal(7.0, 0.1) } else { numbers.lognormal(40.0, 0.05) }
        },
        0.5,
    ),
    ("heavy tail", Method::Image, |numbers, _| (6.0 * numbers.next().max(1e-3).powf(-0.67)).min(600.0), 0.5),
    ("uniform 5 to 25 s", Method::Image, |numbers, _| 5.0 + 20.0 * numbers.next(), 0.2),
];

#[test]
fn answers_come_hardly_later_than_for_one_who_knows_the_distribution() {
    println!("mean delay in s / looks     documented    learned       clairvoyant   regret");
    for (name, method, draw, regret_max) in DISTRIBUTIONS {
        let played = play(*method, *draw);
        let late = CAPTCHAS / 4;
        let [documented, learned, best] =
            [&played.documented, &played.learned, &played.clairvoyant].map(|scores| mean(&scores[late..]));
        let regret = learned.delay - best.delay;
        let cell = |score: Score| format!("{:.2} / {:.2}", score.delay, score.looks);
        println!("{name:27} {:13} {:13} {:13} {regret:.2}", cell(documented), cell(learned), cell(best));
        assert!(regret <= *regret_max, "{name}: {regret}");
        assert!(learned.delay <= documented.delay + 0.1, "{name}: later than as documented");
        assert!(learned.looks <= documented.looks + 0.05, "{name}: more looks than as documented");
    }
}

#[test]
fn a_hundred_captchas_after_the_times_have_changed_the_schedule_has_followed() {
    const SHIFTS: &[(&str, Distribution, Distribution)] = &[
        (
            "12 s to 30 s",
            |numbers, _| numbers.lognormal(12.0, 0.1),
            |numbers, _| numbers.lognormal(30.0, 0.1),
        ),
        (
            "30 s to 12 s",
            |numbers, _| numbers.lognormal(30.0, 0.1),
            |numbers, _| numbers.lognormal(12.0, 0.1),
        ),
        (
            "9 s to 18 s",
            |numbers, _| numbers.lognormal(9.0, 0.35),
            |numbers, _| numbers.lognormal(18.0, 0.35),
        ),
    ];
    for (name, before, after) in SHIFTS {
        let kind = Kind::from(Method::Image);
        let (mut times, mut numbers) = (Times::new(TIMING), Numbers(3));
        let mut run = |count: usize, draw: &Distribution, times: &mut Times| {
            let scores: Vec<Score> = (0..count)
                .map(|number| {
                    let (at, _) = times.first_look(kind);
                    let plan = times.plan(kind).cloned();
                    let (after, until, score) = look(draw(&mut numbers, number), at, |at| {
                        let earliest = at + TIMING.interval;
                        plan.as_ref()
                            .filter(|plan| plan.knows(at))
                            .map_or(earliest, |plan| plan.next_look(at, earliest))
                    });
                    times.looked(kind, after, until);
                    score
                })
                .collect();
            mean(&scores)
        };
        run(400, before, &mut times);
        let during = run(100, after, &mut times);
        let followed = run(300, after, &mut times);
        let settled = run(2_000, after, &mut times);
        println!(
            "{name}: {:.2} s while it follows, {:.2} s from the hundredth on, {:.2} s in the long run",
            during.delay, followed.delay, settled.delay
        );
        assert!(followed.delay <= settled.delay * 1.15, "{name}");
    }
}
