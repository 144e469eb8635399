//! The macro behind the list of metrics: one row declares, registers and documents one.

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

/// One row of the catalogue, for the README's table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub name: &'static str,
    /// The metric's type, as its collector is called in Rust.
    pub kind: &'static str,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

/// A collector that a row can ask for.
pub(super) trait Make: Sized {
    fn make(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> prometheus::Result<Self>;
}

macro_rules! make_vec {
    ($($collector:ty),*) => {$(
        impl Make for $collector {
            fn make(name: &str, help: &str, labels: &[&str], _: &[f64]) -> prometheus::Result<Self> {
                Self::new(Opts::new(name, help), labels)
            }
        }
    )*};
}

macro_rules! make_one {
    ($($collector:ty),*) => {$(
        impl Make for $collector {
            fn make(name: &str, help: &str, _: &[&str], _: &[f64]) -> prometheus::Result<Self> {
                Self::with_opts(Opts::new(name, help))
            }
        }
    )*};
}

make_vec!(IntCounterVec, CounterVec, IntGaugeVec, GaugeVec);
make_one!(IntCounter, IntGauge, Gauge);

impl Make for HistogramVec {
    fn make(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> prometheus::Result<Self> {
        Self::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)
    }
}

/// Makes a collector and registers it. The catalogue is fixed at compile time, so the only fault is one in it, which
/// every test would meet.
pub(super) fn registered<C: Make + Collector + Clone + 'static>(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> C {
    let collector =
        C::make(name, help, labels, buckets).expect("each row of the catalogue is a valid metric");
    registry.register(Box::new(collector.clone())).expect("no two rows of the catalogue have the same name");
    collector
}

/// Declares the metrics: a private field for each row, and [`Row`]s for the table.
macro_rules! catalogue {
    ($($(#[doc = $help:literal])+ $name:ident: $kind:ident [$($label:literal),*] $(in $buckets:expr)?;)*) => {
        #[derive(Clone, Debug)]
        pub(super) struct Catalogue { $(pub(super) $name: prometheus::$kind,)* }

        /// Every metric of capgate's own, in the order of the catalogue.
        pub const ROWS: &[Row] = &[$(Row {
            name: concat!("capgate_", stringify!($name)),
            kind: stringify!($kind),
            labels: &[$($label),*],
            help: concat!($($help),+).trim_ascii(),
        },)*];

        impl Catalogue {
            pub(super) fn registered(registry: &prometheus::Registry) -> Self {
                Self { $($name: {
                    let no_buckets: &[f64] = &[];
                    catalogue::registered(
                        registry,
                        concat!("capgate_", stringify!($name)),
                        concat!($($help),+).trim(),
                        &[$($label),*],
                        [$($buckets,)? no_buckets][0],
                    )
                },)* }
            }
        }
    };
}
pub(super) use catalogue;
