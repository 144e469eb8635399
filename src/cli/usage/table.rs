//! The report for people.

use std::cmp::Ordering;
use std::fmt::Write;
use std::time::Duration;

use rust_decimal::Decimal;

use super::report::{Balance, Report, Row};
use crate::clock::Timestamp;

const HEADS: [&str; 11] = [
    "captchas",
    "solved",
    "unsolvable",
    "open",
    "expired",
    "unknown",
    "reported bad",
    "median s",
    "p95 s",
    "cost USD",
    "estimated",
];
/// An amount has at least so many decimal places.
const PLACES_MIN: u32 = 2;

/// A heading, the rows, their sum, and what the account's balance says.
pub(super) fn write(report: &Report) -> String {
    let mut text = format!("Usage from {} to {}, whole days in UTC.\n\n", report.since, report.until);
    if report.rows.is_empty() {
        text.push_str("No captchas.\n");
    } else {
        let rows = report.rows.iter().map(|row| (row.name.as_str(), row)).chain([("all", &report.total)]);
        let places = report.rows.iter().map(|row| row.cost().normalize().scale()).max();
        let places = places.unwrap_or_default().max(PLACES_MIN);
        let mut lines =
            vec![[&[report.by.name()], &HEADS[..]].concat().iter().map(ToString::to_string).collect()];
        lines.extend(rows.map(|(name, row)| cells(name, row, places)));
        align(&lines, &mut text);
    }
    text.push('\n');
    text.push_str(&match &report.balance {
        Some(balance) => compared(balance),
        None => "The account's balance was not read twice in these days, so there is nothing to compare the cost with.\n"
            .to_owned(),
    });
    text
}

fn cells(name: &str, row: &Row, places: u32) -> Vec<String> {
    let usage = &row.usage;
    let counts = [
        usage.uploads,
        usage.solved,
        usage.failed,
        usage.open(),
        usage.unanswered,
        usage.unknown,
        usage.reported_bad,
    ];
    let seconds = |took: Option<Duration>| {
        took.map_or_else(|| "-".to_owned(), |took| format!("{:.1}", took.as_secs_f64()))
    };
    let estimated = match (row.is_estimated(), usage.priced) {
        (false, _) => "no",
        (true, 0) => "yes",
        (true, _) => "in part",
    };
    std::iter::once(name.to_owned())
        .chain(counts.map(|count| count.to_string()))
        .chain([usage.solve_times.median(), usage.solve_times.p95()].map(seconds))
        .chain([amount(row.cost(), places), estimated.to_owned()])
        .collect()
}

/// An amount with at least so many decimal places.
fn amount(amount: Decimal, places: u32) -> String {
    let mut amount = amount.normalize();
    amount.rescale(amount.scale().max(places));
    amount.to_string()
}

/// Names to the left, all else to the right.
fn align(lines: &[Vec<String>], text: &mut String) {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for line in lines {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            // Writing to a String cannot fail.
            let _ = match column {
                0 => write!(text, "{cell:<width$}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.push('\n');
    }
}

/// What the account's balance says, a line each.
fn compared(balance: &Balance) -> String {
    let usd = |value: Decimal| format!("{} USD", amount(value, PLACES_MIN));
    let span = &balance.compared;
    let difference = balance.difference();
    let mut lines = vec![
        format!(
            "From {} to {}, {} left the account, by its balance.",
            minute(span.from),
            minute(span.to),
            usd(span.spent)
        ),
        format!(
            "The captchas answered in that time cost {} as counted here, {} of it estimated.",
            usd(balance.counted()),
            usd(balance.estimated)
        ),
        match difference.cmp(&Decimal::ZERO) {
            Ordering::Equal => "There is no difference.".to_owned(),
            Ordering::Greater => {
                format!("Difference: {} more left the account than is counted.", usd(difference))
            }
            Ordering::Less => {
                format!("Difference: {} less left the account than is counted.", usd(-difference))
            }
        },
    ];
    lines.extend(balance.price_factor().filter(|_| !difference.is_zero()).map(|factor| {
        format!(
            "If nobody else uses the account, the settings' [prices] should be {factor} times what they are."
        )
    }));
    if span.left_out > 0 {
        let spans = if span.left_out == 1 { "a span".to_owned() } else { format!("{} spans", span.left_out) };
        lines.push(format!(
            "Left out of both: {spans} between two readings in which money was paid in, the key changed, or too much \
             time passed."
        ));
    }
    lines.join("\n") + "\n"
}

/// `2026-07-01 15:30 UTC`
fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..16).map_or_else(|| text.clone(), |minute| format!("{} UTC", minute.replace('T', " ")))
}

#[cfg(test)]
mod tests {
    use super::super::By;
    use super::super::report::tests::{ledger, usd};
    use super::*;
    use crate::config::Prices;
    use crate::store::{Day, Ledger};

    fn table(ledger: &Ledger) -> String {
        write(&Report::new(ledger, Day(19_995), Day(20_001), By::Client, &Prices::default()))
    }

    #[test]
    fn the_table_is_aligned_summed_up_and_compared_with_the_balance() {
        let expected = "\
Usage from 2024-09-29 to 2024-10-05, whole days in UTC.

client  captchas  solved  unsolvable  open  expired  unknown  reported bad  median s  p95 s  cost USD  estimated
team-a         7       4           1     1        1        1             2      10.0   20.0   0.00768    in part
team-b         1       1           0     0        0        0             0      30.2   30.2   0.00100        yes
all            8       5           1     1        1        1             2      20.0   30.2   0.00868    in part

From 2024-10-04 00:00 UTC to 2024-10-05 12:00 UTC, 0.011 USD left the account, by its balance.
The captchas answered in that time cost 0.00868 USD as counted here, 0.00698 USD of it estimated.
Difference: 0.00232 USD more left the account than is counted.
If nobody else uses the account, the settings' [prices] should be 1.332 times what they are.
Left out of both: 2 spans between two readings in which money was paid in, the key changed, or too much time passed.
";
        let text = table(&ledger());
        assert_eq!(text, expected, "\n{text}");
    }

    #[test]
    fn a_store_without_captchas_and_readings_says_so() {
        let text = table(&Ledger::default());
        assert_eq!(text.lines().nth(2), Some("No captchas."));
        assert!(text.ends_with("so there is nothing to compare the cost with.\n"), "{text}");
    }

    #[test]
    fn no_difference_and_less_are_told_as_such() {
        let with_spent = |spent| {
            let mut ledger = ledger();
            ledger.readings[1].spent = usd(spent);
            table(&ledger)
        };
        let none = with_spent("1.00868");
        assert!(none.contains("There is no difference.") && !none.contains("[prices]"), "{none}");
        assert!(with_spent("1").contains("Difference: 0.00868 USD less left the account than is counted."));
    }
}
