//! How late clients learn of their answers, and what it costs in calls: on their own and through the gateway, the same
//! captchas with the same solve times. A paused clock runs the hours, so the table is the same on every machine;
//! `benches/delay/real` measures the same with the official Python client in real time.
//!
//! ```sh
//! cargo bench --bench delay
//! ```

#![expect(clippy::unwrap_used, reason = "a benchmark that fails may panic")]
#![expect(dead_code, unused_imports, reason = "the test suite's support is there for more than this table")]

#[path = "../tests/suite/delay/mod.rs"]
mod delay;
#[path = "../tests/suite/support/mod.rs"]
mod support;

use std::time::Duration;

use delay::{Kinds, Row};

/// Captchas of each row; those that come once a minute take three days.
const CAPTCHAS: usize = 4_000;
const HEAD: &str = "| | mean s | p50 s | p95 s | calls a captcha | looks a captcha | left of rule 1005: calls, looks | \
                    shortest gap s |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |";
const ROWS: [Row; 14] = [
    Row::Direct(10),
    Row::Direct(5),
    Row::Through(10),
    Row::Through(5),
    Row::Patient(10),
    Row::Patient(5),
    Row::Pushed(10),
    Row::PushedPatient(10),
    Row::MixDirect,
    Row::MixThrough,
    Row::RareDirect(10),
    Row::RareThrough(10),
    Row::RareDirect(5),
    Row::RareThrough(5),
];

fn main() {
    println!("{HEAD}");
    let mut soonest = Duration::MAX;
    for row in ROWS {
        let figures = row.measure(Kinds::Both, CAPTCHAS);
        println!("| {} | {figures} |", row.name());
        soonest = soonest.min(figures.soonest);
    }
    let soonest = soonest.as_secs_f64();
    println!(
        "\nThe mean of one who knows how long captchas take and looks at each every 5 s at most: {soonest:.2} s"
    );
}
