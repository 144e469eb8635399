//! The report for programs: CSV with the rows alone, and JSON with everything. Amounts are written to the last digit.

use std::time::Duration;

use anyhow::Context;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;

use super::By;
use super::report::{Balance, Report, Row};

const COLUMNS: &str = "captchas,solved,unsolvable,open,expired,unknown,reported_good,reported_bad,median_seconds,\
    p95_seconds,cost_usd,estimated_usd,is_estimated";

/// A header and one line for each row.
pub(super) fn csv(report: &Report) -> String {
    let mut text = format!("{},{COLUMNS}\n", report.by.name());
    for row in &report.rows {
        let usage = &row.usage;
        let counts = [
            usage.uploads,
            usage.solved,
            usage.failed,
            usage.open(),
            usage.unanswered,
            usage.unknown,
            usage.reported_good,
            usage.reported_bad,
        ];
        let seconds =
            |took: Option<Duration>| took.map_or_else(String::new, |took| seconds(took).to_string());
        let cells = std::iter::once(quoted(&row.name))
            .chain(counts.map(|count| count.to_string()))
            .chain([usage.solve_times.median(), usage.solve_times.p95()].map(seconds))
            .chain([row.cost(), row.estimated].map(|amount| amount.normalize().to_string()))
            .chain([row.is_estimated().to_string()]);
        text.push_str(&cells.collect::<Vec<_>>().join(","));
        text.push('\n');
    }
    text
}

/// A cell's text, in quotes when it holds what would end it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn seconds(took: Duration) -> Decimal {
    Decimal::new(i64::try_from(took.as_millis()).unwrap_or(i64::MAX), 3).normalize()
}

#[derive(Serialize)]
struct JsonReport<'r> {
    since: String,
    until: String,
    by: &'static str,
    rows: Vec<JsonRow<'r>>,
    total: JsonRow<'r>,
    balance: Option<JsonBalance>,
}

#[derive(Serialize)]
struct JsonRow<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<&'r str>,
    captchas: u64,
    solved: u64,
    unsolvable: u64,
    open: u64,
    expired: u64,
    unknown: u64,
    reported_good: u64,
    reported_bad: u64,
    median_seconds: Option<Box<RawValue>>,
    p95_seconds: Option<Box<RawValue>>,
    cost_usd: Box<RawValue>,
    estimated_usd: Box<RawValue>,
    is_estimated: bool,
}

#[derive(Serialize)]
struct JsonBalance {
    from: String,
    to: String,
    spent_usd: Box<RawValue>,
    counted_usd: Box<RawValue>,
    estimated_usd: Box<RawValue>,
    difference_usd: Box<RawValue>,
    price_factor: Option<Box<RawValue>>,
    spans_left_out: u64,
}

/// One object, in lines.
pub(super) fn json(report: &Report) -> anyhow::Result<String> {
    let rows: anyhow::Result<Vec<_>> = report.rows.iter().map(|row| json_row(row, Some(report.by))).collect();
    let object = JsonReport {
        since: report.since.to_string(),
        until: report.until.to_string(),
        by: report.by.name(),
        rows: rows?,
        total: json_row(&report.total, None)?,
        balance: report.balance.as_ref().map(json_balance).transpose()?,
    };
    Ok(serde_json::to_string_pretty(&object)? + "\n")
}

fn json_row(row: &Row, by: Option<By>) -> anyhow::Result<JsonRow<'_>> {
    let Row { name, usage, estimated } = row;
    let name_of = |grouped| (by == Some(grouped)).then_some(name.as_str());
    let time = |took: Option<Duration>| took.map(|took| number(seconds(took))).transpose();
    Ok(JsonRow {
        client: name_of(By::Client),
        method: name_of(By::Method),
        day: name_of(By::Day),
        captchas: usage.uploads,
        solved: usage.solved,
        unsolvable: usage.failed,
        open: usage.open(),
        expired: usage.unanswered,
        unknown: usage.unknown,
        reported_good: usage.reported_good,
        reported_bad: usage.reported_bad,
        median_seconds: time(usage.solve_times.median())?,
        p95_seconds: time(usage.solve_times.p95())?,
        cost_usd: number(row.cost())?,
        estimated_usd: number(*estimated)?,
        is_estimated: row.is_estimated(),
    })
}

fn json_balance(balance: &Balance) -> anyhow::Result<JsonBalance> {
    Ok(JsonBalance {
        from: balance.compared.from.to_string(),
        to: balance.compared.to.to_string(),
        spent_usd: number(balance.compared.spent)?,
        counted_usd: number(balance.counted())?,
        estimated_usd: number(balance.estimated)?,
        difference_usd: number(balance.difference())?,
        price_factor: balance.price_factor().map(number).transpose()?,
        spans_left_out: balance.compared.left_out,
    })
}

/// A number of JSON with exactly these digits; serde's own would be the nearest binary fraction.
fn number(amount: Decimal) -> anyhow::Result<Box<RawValue>> {
    RawValue::from_string(amount.normalize().to_string()).context("a decimal number is one of JSON")
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::ledger;
    use super::*;
    use crate::config::Prices;
    use crate::store::Day;

    fn report() -> Report {
        Report::new(&ledger(), Day(19_995), Day(20_001), By::Client, &Prices::default())
    }

    #[test]
    fn csv_has_a_line_for_each_row_and_names_cannot_break_out() {
        let mut report = report();
        report.rows[1].name = "a \"b\",c".to_owned();
        assert_eq!(
            csv(&report),
            "client,captchas,solved,unsolvable,open,expired,unknown,reported_good,reported_bad,median_seconds,p95_seconds,\
             cost_usd,estimated_usd,is_estimated\n\
             team-a,7,4,1,1,1,1,0,2,9.984,19.968,0.00768,0.00598,true\n\
             \"a \"\"b\"\",c\",1,1,0,0,0,0,0,0,30.208,30.208,0.001,0.001,true\n"
        );
    }

    #[test]
    fn json_has_every_figure_to_the_last_digit() {
        let text = json(&report()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["since"], &value["until"]), (&"2024-09-29".into(), &"2024-10-05".into()));
        assert_eq!(value["rows"][1]["client"], "team-b");
        assert_eq!(value["total"]["captchas"], 8);
        for part in ["\"cost_usd\": 0.00868,", "\"difference_usd\": 0.00232,", "\"price_factor\": 1.332,"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let nothing =
            Report::new(&crate::store::Ledger::default(), Day(0), Day(1), By::Day, &Prices::default());
        let value: serde_json::Value = serde_json::from_str(&json(&nothing).unwrap()).unwrap();
        assert_eq!((value["rows"].as_array().map(Vec::len), value["balance"].is_null()), (Some(0), true));
        assert!(value["total"]["median_seconds"].is_null());
    }
}
