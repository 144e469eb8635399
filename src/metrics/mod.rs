//! Every metric, in one catalogue; call sites say what happened, not how it is counted.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `rows` | the catalogue |
//! | `catalogue` | the macro behind it |
//! | `clients`, `upstream`, `itself` | what happened to whom |
//! | `labels`, `client_labels` | the values of labels: closed lists, and clients up to a limit |
//! | `numbers` | some of it as a value, for the status page |

mod catalogue;
mod client_labels;
mod clients;
mod itself;
mod labels;
mod numbers;
mod rows;
mod upstream;

use prometheus::{Registry, TextEncoder};

use crate::clock::Timestamp;
use crate::protocol::errors::{ErrorCode, Reaction};
use client_labels::ClientLabels;
use rows::Catalogue;

pub use catalogue::Row;
pub use client_labels::{CLIENTS_MAX, OTHER, PAIRS_MAX};
pub use clients::{Budget, ClientCounters, Standing};
pub use itself::OpenConnection;
pub use labels::{
    CallOutcome, CaptchaOutcome, ClientCall, CostBasis, PollOutcome, PushOutcome, ReloadOutcome, Served,
    StrangerAnswered, UploadOutcome,
};
pub use numbers::{ClientNumbers, Numbers};
pub use rows::ROWS;

/// All metrics of the process.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    catalogue: Catalogue,
    clients: ClientLabels,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let catalogue = Catalogue::registered(&registry);
        #[cfg(target_os = "linux")]
        registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("no metric of the catalogue is named process_*");
        catalogue.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        // Alerts compare these with what they were, so they must be there before the first.
        for code in ErrorCode::ALL.iter().filter(|code| matches!(code.reaction(), Reaction::WaitOutBlock(_)))
        {
            catalogue.blocks_total.with_label_values(&[code.as_str()]).inc_by(0);
        }
        catalogue.blocks_total.with_label_values(&[OTHER]).inc_by(0);
        for outcome in PushOutcome::ALL {
            catalogue.pushes_total.with_label_values(&[outcome.label()]).inc_by(0);
        }
        for part in ["call", "task"] {
            catalogue.panics_total.with_label_values(&[part]).inc_by(0);
        }
        for page in ["in.php", "res.php"] {
            for answered in StrangerAnswered::ALL {
                catalogue.strangers_total.with_label_values(&[page, answered.label()]).inc_by(0);
            }
        }
        Self { registry, catalogue, clients: ClientLabels::default() }
    }
}

impl Metrics {
    /// The exposition in Prometheus' text format.
    ///
    /// # Errors
    /// When a collector cannot be encoded.
    pub fn text(&self) -> prometheus::Result<String> {
        self.count_saved_calls();
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 have 41 bits")]
fn seconds(moment: Timestamp) -> f64 {
    if moment == Timestamp::NEVER { f64::INFINITY } else { moment.as_millis() as f64 / 1_000.0 }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rust_decimal::Decimal;

    use super::*;
    use crate::protocol::errors::Code;
    use crate::protocol::methods::Method;
    use crate::upstream::CallKind;

    #[test]
    fn what_happened_shows_in_the_exposition() {
        let metrics = Metrics::default();
        metrics.upload_ended("team-a", Method::Image, UploadOutcome::Accepted, Duration::from_millis(20));
        metrics.client_counters("team-a").polled(PollOutcome::WrongId, Served::AtOnce);
        metrics.call_ended(CallKind::LookBatch, CallOutcome::Mismatch, Duration::from_millis(20));
        let text = metrics.text().unwrap();
        for line in [
            r#"capgate_uploads_total{client="team-a",method="image",outcome="accepted"} 1"#,
            r#"capgate_polls_total{client="team-a",outcome="wrong_id",served="at_once"} 1"#,
            r#"capgate_polls_total{client="team-a",outcome="answer",served="held"} 0"#,
            r#"capgate_upstream_calls_total{call="look_batch",outcome="mismatch"} 1"#,
            "# HELP capgate_captchas_open Captchas that the upstream is working on.",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn money_and_blocks_are_told_and_what_is_not_known_is_not_invented() {
        let metrics = Metrics::default();
        let text = metrics.text().unwrap();
        assert!(text.contains(r#"capgate_blocks_total{code="ERROR: 1005"} 0"#), "{text}");
        assert!(!text.contains("capgate_upstream_balance_usd"), "nobody has asked for it yet\n{text}");
        metrics.blocked(&ErrorCode::Block1005.into());
        metrics.blocked(&Code::parse(b"ERROR: 1017").unwrap());
        for basis in [CostBasis::Told, CostBasis::Told, CostBasis::Estimated] {
            metrics.cost("team-a", Method::Image, Decimal::new(299, 5), basis);
        }
        metrics.balance(12.5);
        metrics.load(Some(25.0), None);
        let text = metrics.text().unwrap();
        for line in [
            r#"capgate_blocks_total{code="ERROR: 1005"} 1"#,
            r#"capgate_blocks_total{code="other"} 1"#,
            r#"capgate_cost_usd_total{basis="told",client="team-a",method="image"} 0.00598"#,
            r#"capgate_cost_usd_total{basis="estimated",client="team-a",method="image"} 0.00299"#,
            "capgate_upstream_balance_usd 12.5",
            "capgate_upstream_load_ratio 0.25",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("capgate_upstream_minimum_bid_usd"), "{text}");
    }

    #[test]
    fn clients_without_a_label_of_their_own_have_their_counts_together_and_no_limits() {
        let metrics = Metrics::default();
        let names: Vec<String> = (0..=CLIENTS_MAX).map(|number| format!("client-{number}")).collect();
        let budget = Budget { is_usd: false, period: "day", limit: 9.0, left: 8.0 };
        let standing = |client| Standing {
            client,
            is_stopped: true,
            open_limit: Some(7),
            budgets: vec![budget],
            warning: 0.8,
        };
        metrics.clients(&names.iter().map(|name| standing(name.as_str())).collect::<Vec<_>>());
        metrics.upload_queued(&names[CLIENTS_MAX]);
        let text = metrics.text().unwrap();
        assert!(text.contains(r#"capgate_client_uploads_waiting{client="other"} 1"#));
        assert!(text.contains(r#"capgate_client_captchas_open_limit{client="client-999"} 7"#));
        let limits = ["captchas_open_limit", "budget_limit_captchas", "budget_left_captchas", "stopped"];
        for name in limits {
            assert!(text.contains(&format!("capgate_client_{name}{{client=\"client-0\"")), "{name}");
            assert!(!text.contains(&format!("capgate_client_{name}{{client=\"other\"")), "{name}");
        }
    }

    #[test]
    fn saved_calls_are_those_that_the_upstream_did_not_see_and_never_become_fewer() {
        let (metrics, took) = (Metrics::default(), Duration::from_millis(1));
        let saved = || {
            let text = metrics.text().unwrap();
            let line = text.lines().find(|line| line.starts_with("capgate_saved_calls_total")).unwrap();
            line.split_once(' ').unwrap().1.parse::<u64>().unwrap()
        };
        for _ in 0..3 {
            metrics.call_ended(CallKind::LookBatch, CallOutcome::Done, took);
        }
        metrics.call_ended(CallKind::Submit, CallOutcome::Done, took);
        metrics.call_ended(CallKind::Load, CallOutcome::Done, took);
        let counters = metrics.client_counters("team-a");
        counters.called(ClientCall::Upload);
        counters.called(ClientCall::Poll);
        assert_eq!(saved(), 0, "looks come before the polls that they save");
        for _ in 0..9 {
            counters.called(ClientCall::Poll);
        }
        assert_eq!(saved(), 7);
        metrics.call_ended(CallKind::Balance, CallOutcome::Done, took);
        assert_eq!(saved(), 7);
        counters.called(ClientCall::Balance);
        counters.called(ClientCall::PollMany);
        assert_eq!(saved(), 8);
    }

    #[test]
    fn counters_end_in_total_and_times_in_seconds() {
        for row in ROWS {
            assert_eq!(row.kind.contains("Counter"), row.name.ends_with("_total"), "{}", row.name);
        }
    }
}
