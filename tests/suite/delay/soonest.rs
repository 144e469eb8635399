//! How soon anybody could be told who looks at a captcha every 5 s at most: who knows beforehand how long captchas take, though
//! not which one takes how long, and pays nothing for a look. No schedule has a smaller mean delay with the same bounds.

use std::time::Duration;

use capgate::protocol::Method;
use capgate::protocol::methods::FirstLook;

use super::{ADVISED, Told, WAY};

const STEP: Duration = Duration::from_millis(50);
/// The documented minimum from the upload to the first look.
const FIRST_IMAGE: Duration = Duration::from_secs(5);
const FIRST_TOKEN: Duration = Duration::from_secs(15);

/// The smallest mean delay for these captchas.
pub fn soonest(captchas: &[Told]) -> Duration {
    let mut methods: Vec<Method> = captchas.iter().map(|captcha| captcha.method).collect();
    methods.sort_unstable_by_key(|method| method.label());
    methods.dedup();
    let of = |method: Method| {
        let took: Vec<Duration> =
            captchas.iter().filter(|captcha| captcha.method == method).map(|captcha| captcha.took).collect();
        let first = if method.first_look() == FirstLook::Token { FIRST_TOKEN } else { FIRST_IMAGE };
        soonest_of(took, first)
    };
    let whole: f64 = methods.into_iter().map(of).sum();
    // What a look shows was so one way before.
    WAY + Duration::from_secs_f64(whole / number(captchas.len()))
}

/// The delays of all captchas together in seconds, by the best schedule, whose first look comes after `first`.
fn soonest_of(mut took: Vec<Duration>, first: Duration) -> f64 {
    took.sort_unstable();
    let longest = took.last().copied().unwrap_or_default();
    // The interval runs from the reply.
    let gap = steps(ADVISED + 2 * WAY);
    let count = steps(longest) + 2 * gap;
    // How many are solved by each step, and how long their answers have lain there in all, in steps.
    let by_step: Vec<usize> =
        (0..=count).map(|step| took.partition_point(|took| steps(*took) < step)).collect();
    let mut lain = vec![0; count + 1];
    for step in 1..=count {
        lain[step] = lain[step - 1] + by_step[step - 1];
    }
    // What follows a look at each step, at best.
    let mut after = vec![0; count + 1];
    for looked in (0..=count).rev() {
        let next = (looked + gap..=count).take(2 * gap);
        let lies = |next: usize| lain[next] - lain[looked] - by_step[looked] * (next - looked) + after[next];
        after[looked] = next.map(lies).min().unwrap_or_default();
    }
    let best = (steps(first)..=count).map(|step| lain[step] + after[step]).min().unwrap_or_default();
    number(best) * STEP.as_secs_f64()
}

fn steps(time: Duration) -> usize {
    usize::try_from(time.as_millis() / STEP.as_millis()).expect("a few minutes")
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("some millions"))
}
