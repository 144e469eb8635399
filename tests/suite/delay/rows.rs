//! The rows of the table: who asks, and which way.

use std::time::Duration;

use super::traffic::{Kinds, Polls, Route, Traffic};
use super::{Figures, measure};

/// Who asks, how often, and through what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// One captcha a second, of clients that sleep so many seconds between their polls.
    Direct(u64),
    Through(u64),
    /// Through the gateway, whose hold is a minute: for libraries that have no time-out of their own.
    Patient(u64),
    /// The same, and the upstream pushes its answers.
    Pushed(u64),
    PushedPatient(u64),
    /// Five captchas a second of a thousand clients: some ask every 10 s, some every 5 s, some ask the gateway to wait.
    MixDirect,
    MixThrough,
    /// One captcha a minute.
    RareDirect(u64),
    RareThrough(u64),
}

impl Row {
    pub fn name(self) -> String {
        match self {
            Self::Direct(pause) => format!("direct, asks every {pause} s"),
            Self::Through(pause) => format!("capgate, asks every {pause} s"),
            Self::Patient(pause) => format!("capgate with hold 1m, asks every {pause} s"),
            Self::Pushed(pause) => format!("capgate with pingback, asks every {pause} s"),
            Self::PushedPatient(pause) => {
                format!("capgate with pingback and hold 1m, asks every {pause} s")
            }
            Self::MixDirect => "1,000 clients, direct".to_owned(),
            Self::MixThrough => "1,000 clients, capgate".to_owned(),
            Self::RareDirect(pause) => format!("one captcha a minute, direct, asks every {pause} s"),
            Self::RareThrough(pause) => format!("one captcha a minute, capgate, asks every {pause} s"),
        }
    }

    /// Measures it with so many captchas of a kind.
    pub fn measure(self, kinds: Kinds, captchas: usize) -> Figures {
        let every = |pause| vec![Polls::Every(Duration::from_secs(pause))];
        let steady = |pause| Traffic {
            seed: 7,
            captchas,
            every: Duration::from_secs(1),
            clients: 20,
            kinds,
            polls: every(pause),
        };
        let rare = |pause| Traffic { every: Duration::from_mins(1), ..steady(pause) };
        let mix = || Traffic {
            every: Duration::from_millis(200),
            clients: 1_000,
            polls: [every(10), every(5), vec![Polls::Waits]].concat(),
            ..steady(5)
        };
        let through = |hold, is_pushed| Route::Through { hold, is_pushed };
        let (own, patient) = (through(None, false), Some(Duration::from_mins(1)));
        match self {
            Self::Direct(pause) => measure(&steady(pause), Route::Direct),
            Self::Through(pause) => measure(&steady(pause), own),
            Self::Patient(pause) => measure(&steady(pause), through(patient, false)),
            Self::Pushed(pause) => measure(&steady(pause), through(None, true)),
            Self::PushedPatient(pause) => measure(&steady(pause), through(patient, true)),
            Self::MixDirect => measure(&mix(), Route::Direct),
            Self::MixThrough => measure(&mix(), own),
            Self::RareDirect(pause) => measure(&rare(pause), Route::Direct),
            Self::RareThrough(pause) => measure(&rare(pause), own),
        }
    }
}
