//! Some of the numbers as a value, for the status page: read from the collectors themselves, so that it and Prometheus
//! cannot disagree.

use std::collections::BTreeMap;

use prometheus::core::Collector;
use prometheus::proto::Metric;
use serde::Serialize;

use super::{CaptchaOutcome, Metrics, UploadOutcome};

/// What all clients have together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    pub captchas_open: u64,
    pub uploads_waiting: u64,
    pub uploads_waiting_limit: u64,
    pub batch_size: u64,
    /// By name.
    pub clients: BTreeMap<String, ClientNumbers>,
}

/// What a client has at present, and had since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClientNumbers {
    /// Captchas that it waits for.
    pub open: u64,
    /// Uploads waiting for their turn.
    pub waiting: u64,
    /// Since the start: uploads that got an id, and that got none.
    pub accepted: u64,
    pub refused: u64,
    /// Since the start: captchas that ended with an answer, and without.
    pub solved: u64,
    pub unsolved: u64,
}

impl Metrics {
    /// The numbers as they are now. Each client that has ever been met has a row, those beyond the cap one together.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        let of = &self.catalogue;
        let mut clients = BTreeMap::<String, ClientNumbers>::new();
        let mut each = |collector: &dyn Collector, add: &dyn Fn(&mut ClientNumbers, &Metric, u64)| {
            for family in collector.collect() {
                for metric in family.get_metric() {
                    let client = clients.entry(label(metric, "client").to_owned()).or_default();
                    add(client, metric, value(metric));
                }
            }
        };
        each(&of.polls_total, &|_, _, _| ());
        each(&of.client_captchas_open, &|client, _, count| client.open += count);
        each(&of.client_uploads_waiting, &|client, _, count| client.waiting += count);
        each(&of.uploads_total, &|client, metric, count| {
            let accepted = [UploadOutcome::Accepted, UploadOutcome::Again].map(UploadOutcome::label);
            let is_accepted = accepted.contains(&label(metric, "outcome"));
            *(if is_accepted { &mut client.accepted } else { &mut client.refused }) += count;
        });
        each(&of.captchas_ended_total, &|client, metric, count| {
            let is_solved = label(metric, "outcome") == CaptchaOutcome::Solved.label();
            *(if is_solved { &mut client.solved } else { &mut client.unsolved }) += count;
        });
        Numbers {
            captchas_open: count(of.captchas_open.get()),
            uploads_waiting: count(of.uploads_waiting.get()),
            uploads_waiting_limit: count(of.uploads_waiting_limit.get()),
            batch_size: count(of.batch_size.get()),
            clients,
        }
    }
}

pub(super) fn label<'m>(metric: &'m Metric, name: &str) -> &'m str {
    metric.get_label().iter().find(|pair| pair.name() == name).map_or("", |pair| pair.value())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, kept as a float")]
pub(super) fn value(metric: &Metric) -> u64 {
    // One of the two is there; the other is 0.
    (metric.get_gauge().get_value() + metric.get_counter().get_value()) as u64
}

fn count(gauge: i64) -> u64 {
    u64::try_from(gauge).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::protocol::methods::Method;

    #[test]
    fn a_clients_numbers_are_the_sums_of_its_series() {
        let (metrics, took) = (Metrics::default(), Duration::from_secs(1));
        let _ = metrics.client_counters("quiet");
        for (method, outcome) in [
            (Method::Image, UploadOutcome::Accepted),
            (Method::Text, UploadOutcome::Accepted),
            (Method::Text, UploadOutcome::Again),
            (Method::Text, UploadOutcome::Unknown),
        ] {
            metrics.upload_ended("busy", method, outcome, took);
        }
        for method in [Method::Text, Method::Text, Method::Image] {
            metrics.captcha_opened("busy", method);
            metrics.upload_queued("busy");
        }
        metrics.upload_unqueued("busy");
        metrics.captcha_ended("busy", Method::Text, CaptchaOutcome::Solved, took);
        metrics.captcha_ended("busy", Method::Image, CaptchaOutcome::Expired, took);
        metrics.uploads_waiting(2);
        metrics.polling(5, 12);
        let numbers = metrics.numbers();
        let busy = ClientNumbers { open: 1, waiting: 2, accepted: 3, refused: 1, solved: 1, unsolved: 1 };
        let clients = [("busy".to_owned(), busy), ("quiet".to_owned(), ClientNumbers::default())];
        assert_eq!(numbers.clients, BTreeMap::from(clients));
        assert_eq!((numbers.captchas_open, numbers.uploads_waiting, numbers.batch_size), (5, 2, 12));
    }
}
