//! Two small pictures of the last hour: columns of a drawing that is as wide as there is room for.

use super::past::{STRETCHES, Stretch};
use super::words;

/// The drawing's size in its own units; the page stretches it.
pub const WIDTH: usize = COLUMN * STRETCHES;
pub const HEIGHT: u32 = 100;
const COLUMN: usize = 10;

/// Columns, the present one rightmost.
#[derive(Debug)]
pub struct Chart {
    pub columns: Vec<Column>,
    /// What the upper edge stands for.
    pub top: String,
}

#[derive(Debug)]
pub struct Column {
    pub x: usize,
    /// The column in words.
    pub title: String,
    /// From the bottom up; a later one stands on, or before, the earlier.
    pub bars: Vec<Bar>,
}

#[derive(Debug)]
pub struct Bar {
    pub class: &'static str,
    pub y: f64,
    pub height: f64,
}

/// Uploads and what became of captchas, for each minute.
#[must_use]
pub fn throughput(stretches: &[Stretch]) -> Chart {
    let a_minute = |count: u64, stretch: &Stretch| as_float(count) * 60.0 / as_float(stretch.seconds.max(1));
    let most = |stretch: &Stretch| {
        a_minute(stretch.counts.accepted.max(stretch.counts.solved + stretch.counts.unsolved), stretch)
    };
    let top = nice(stretches.iter().map(most).fold(0.0, f64::max));
    let columns = columns(stretches, |stretch| {
        let (solved, unsolved) =
            (a_minute(stretch.counts.solved, stretch), a_minute(stretch.counts.unsolved, stretch));
        let bars = vec![
            bar("uploads", 0.0, a_minute(stretch.counts.accepted, stretch), top),
            bar("solved", 0.0, solved, top),
            bar("unsolved", solved, unsolved, top),
        ];
        let title = format!(
            "{} uploads, {} answers, {} without",
            words::number(stretch.counts.accepted),
            words::number(stretch.counts.solved),
            words::number(stretch.counts.unsolved)
        );
        (title, bars)
    });
    Chart { columns, top: format!("{top:.0} / min") }
}

/// How long solving took.
#[must_use]
pub fn solve_times(stretches: &[Stretch]) -> Chart {
    let top = nice(stretches.iter().filter_map(|stretch| stretch.counts.p95_seconds).fold(0.0, f64::max));
    let columns = columns(stretches, |stretch| {
        let (Some(median), Some(p95)) = (stretch.counts.median_seconds, stretch.counts.p95_seconds) else {
            return ("no answers".to_owned(), Vec::new());
        };
        let title = format!("median {}, 95 % within {}", words::seconds(median), words::seconds(p95));
        (title, vec![bar("p95", 0.0, p95, top), bar("median", 0.0, median, top)])
    });
    Chart { columns, top: words::seconds(top) }
}

fn columns(stretches: &[Stretch], draw: impl Fn(&Stretch) -> (String, Vec<Bar>)) -> Vec<Column> {
    let first = STRETCHES.saturating_sub(stretches.len());
    stretches
        .iter()
        .enumerate()
        .map(|(at, stretch)| {
            let (text, mut bars) = draw(stretch);
            bars.retain(|bar| bar.height > 0.0);
            let from = stretch.from.0.to_string();
            let time = from.get(11..16).unwrap_or_default();
            Column { x: (first + at) * COLUMN, title: format!("{time} UTC: {text}"), bars }
        })
        .collect()
}

fn bar(class: &'static str, from: f64, height: f64, top: f64) -> Bar {
    let scaled = |value: f64| (value / top * f64::from(HEIGHT) * 10.0).round() / 10.0;
    Bar { class, y: f64::from(HEIGHT) - scaled(from + height), height: scaled(height) }
}

/// The next round number from `most` on, so that the highest column is not far below the edge.
fn nice(most: f64) -> f64 {
    let magnitude = 10_f64.powf(most.max(1.0).log10().floor());
    let steps = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.map(|step| step * magnitude).into_iter().find(|top| *top >= most).unwrap_or(most)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a minute")]
fn as_float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::super::facts::Moment;
    use super::super::past::Counts;
    use super::*;
    use crate::clock::Timestamp;

    fn stretch(accepted: u64, solved: u64, unsolved: u64) -> Stretch {
        Stretch {
            from: Moment(Timestamp(60_000)),
            seconds: 15,
            counts: Counts {
                accepted,
                refused: 0,
                solved,
                unsolved,
                median_seconds: (solved > 0).then_some(9.0),
                p95_seconds: (solved > 0).then_some(18.0),
            },
        }
    }

    #[test]
    fn the_present_is_at_the_right_and_what_has_no_height_is_not_drawn() {
        let chart = throughput(&[stretch(0, 0, 0), stretch(3, 2, 1)]);
        assert_eq!(chart.columns.iter().map(|column| column.x).collect::<Vec<_>>(), [580, 590]);
        assert!(chart.columns[0].bars.is_empty());
        assert_eq!(chart.columns[1].title, "00:01 UTC: 3 uploads, 2 answers, 1 without");
    }

    #[test]
    fn columns_are_counts_a_minute_and_stand_on_each_other() {
        let chart = throughput(&[stretch(3, 2, 1)]);
        assert_eq!(chart.top, "15 / min");
        let bars =
            chart.columns[0].bars.iter().map(|bar| format!("{} {:.1} {:.1}", bar.class, bar.y, bar.height));
        let expected = ["uploads 20.0 80.0", "solved 46.7 53.3", "unsolved 20.0 26.7"];
        assert_eq!(bars.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn solve_times_have_a_scale_of_their_own_and_gaps_where_nothing_was_solved() {
        let chart = solve_times(&[stretch(0, 0, 0), stretch(0, 1, 0)]);
        assert_eq!((chart.top.as_str(), chart.columns[0].bars.len()), ("20 s", 0));
        assert_eq!(chart.columns[1].title, "00:01 UTC: median 9.0 s, 95 % within 18 s");
        assert_eq!(format!("{:.1}", chart.columns[1].bars[1].height), "45.0");
    }

    #[test]
    fn the_upper_edge_is_a_round_number_and_never_below_the_highest_column() {
        let top = |most: f64| format!("{:.1}", nice(most));
        let tops = [0.0, 0.3, 1.0, 1.1, 7.0, 10.0, 11.0, 199.0, 201.0].map(top);
        assert_eq!(tops, ["1.0", "1.0", "1.0", "1.5", "8.0", "10.0", "15.0", "200.0", "300.0"]);
    }
}
