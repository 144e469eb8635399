//! At most so many lines of a kind in a second. A kind is a place in the code that logs.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dashmap::DashMap;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata};
use tracing_subscriber::layer::{Context, Filter};

use crate::clock::{Clock, Timestamp};

/// What was taken and left out, by kind. There are as many kinds as log calls in the program.
#[derive(Debug)]
pub(super) struct Sampler {
    clock: Clock,
    most: AtomicU32,
    kinds: DashMap<Identifier, Kind>,
}

#[derive(Debug, Default)]
struct Kind {
    second: u64,
    taken: u32,
    left_out: u64,
    /// The message of the first that was left out, to tell which kind it is.
    message: String,
}

impl Sampler {
    pub fn new(clock: Clock, most: u32) -> Self {
        Self { clock, most: AtomicU32::new(most), kinds: DashMap::new() }
    }

    pub fn reload(&self, most: u32) {
        self.most.store(most, Ordering::Relaxed);
    }

    fn takes(&self, kind: Identifier, now: Timestamp, message: impl FnOnce() -> String) -> bool {
        let second = now.as_millis() / 1_000;
        let mut kind = self.kinds.entry(kind).or_default();
        if kind.second != second {
            (kind.second, kind.taken) = (second, 0);
        }
        if kind.taken < self.most.load(Ordering::Relaxed) {
            kind.taken += 1;
            return true;
        }
        if kind.left_out == 0 {
            kind.message = message();
        }
        kind.left_out += 1;
        false
    }

    /// What was left out since this was asked last.
    pub fn left_out(&self) -> Vec<(String, u64)> {
        let told = |kind: &mut Kind| (std::mem::take(&mut kind.message), std::mem::take(&mut kind.left_out));
        let mut all: Vec<_> = self.kinds.iter_mut().map(|mut kind| told(&mut kind)).collect();
        all.retain(|(_, count)| *count > 0);
        all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all
    }
}

/// The sampler as the last filter: what another has left out does not count.
#[derive(Debug)]
pub(super) struct Sampled(pub Arc<Sampler>);

impl<S> Filter<S> for Sampled {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let message = || {
            let mut message = Message::default();
            event.record(&mut message);
            message.0
        };
        self.0.takes(event.metadata().callsite(), self.0.clock.now(), message)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a String cannot fail.
            let _ = write!(self.0, "{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Counts what comes through.
    struct Counter(Arc<AtomicU32>);

    impl<S: tracing::Subscriber> Layer<S> for Counter {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn refused() {
        tracing::info!(client = "team-a", "upload refused");
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_of_a_kind_go_through_in_a_second_and_the_others_are_counted() {
        let clock = Clock::starting_at(Timestamp(1_000));
        let (sampler, count) = (Arc::new(Sampler::new(clock, 3)), Arc::new(AtomicU32::new(0)));
        let counter = Counter(Arc::clone(&count)).with_filter(Sampled(Arc::clone(&sampler)));
        let subscriber = tracing_subscriber::registry().with(counter);
        let _logs = tracing::subscriber::set_default(subscriber);
        (0..3).for_each(|_| refused());
        assert_eq!(sampler.left_out(), [], "at the limit");
        (0..5).for_each(|_| refused());
        tracing::info!("another kind");
        assert_eq!(count.load(Ordering::Relaxed), 4);
        assert_eq!(sampler.left_out(), [("upload refused".to_owned(), 5)]);
        assert_eq!(sampler.left_out(), [], "each is told once");
        clock.sleep_until(Timestamp(2_000)).await;
        (0..4).for_each(|_| refused());
        assert_eq!(count.load(Ordering::Relaxed), 7);
        sampler.reload(4);
        refused();
        assert_eq!(count.load(Ordering::Relaxed), 8);
        assert_eq!(sampler.left_out().len(), 1);
    }
}
