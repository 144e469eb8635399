//! What is written down, and in which words. Nothing in it is a secret or a payload: names from the settings, numbers, words
//! from closed lists, and the hosts of pages, never their whole addresses.

use std::net::IpAddr;

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

use crate::clock::Timestamp;
use crate::protocol::form::Field;
use crate::protocol::hosts::{self, Role};
use crate::protocol::ids::CaptchaId;
pub use crate::protocol::page::HOST_BYTES_MAX;

/// Most hosts of pages in one line; an upload names one, and seldom two.
pub const PAGES_MAX: usize = 4;
/// Most changes of the settings in one line; one more says how many there were.
pub const CHANGES_MAX: usize = 100;
/// Longest name of a change, symbols.
const CHANGE_SYMBOLS_MAX: usize = 200;

macro_rules! event_table {
    ($($(#[$attribute:meta])* $name:ident $({ $($(#[$of_field:meta])* $field:ident: $type:ty,)* })? = $label:literal, $help:literal;)*) => {
        /// What has happened.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        #[serde(tag = "event")]
        pub enum Event {$(
            #[doc = $help]
            #[serde(rename = $label)]
            $(#[$attribute])*
            $name $({ $($(#[$of_field])* $field: $type,)* })?,
        )*}

        /// Each event's word, its members and when it is written, in the order of the README's table.
        pub const EVENTS: &[(&str, &[&str], &str)] =
            &[$(($label, &[$($(stringify!($field),)*)?], $help),)*];
    };
}

event_table! {
    Started { version: &'static str, } = "started",
        "The gateway was started. Without a `stopped` before it the one before was killed, and what it did last may be missing.";
    Stopped { why: &'static str, } = "stopped",
        "It was told to end: by a `signal`, by an `operator`, or by a `fault` of its own. Always the last line of a process.";
    Uploaded {
        client: String,
        captcha: CaptchaId,
        method: &'static str,
        pages: Vec<String>,
    } = "uploaded",
        "The service took an upload. `pages` are the hosts of the pages that it names.";
    Unknown {
        client: String,
        method: &'static str,
        pages: Vec<String>,
    } = "unknown",
        "An upload was sent and no reply came that could be read: it may have been taken and charged.";
    Ended {
        client: String,
        captcha: CaptchaId,
        method: &'static str,
        outcome: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        cost: Option<Cost>,
    } = "ended",
        "A captcha is `solved`, `failed` or `expired`. `cost` in USD, with `estimated` where the service did not tell its price; none for what expired.";
    Priced {
        captcha: CaptchaId,
        cost: Cost,
    } = "priced",
        "The service told a captcha's price after its answer: it takes the place of the estimate.";
    Reported {
        client: String,
        captcha: CaptchaId,
        verdict: &'static str,
        outcome: &'static str,
    } = "reported",
        "A client reported a captcha (`reportgood`, `reportbad`), and the service `recorded` it or `refused` to.";
    Refused {
        client: String,
        rule: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        method: Option<&'static str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pages: Vec<String>,
    } = "refused",
        "A client's own settings forbade a call; `rule` is the reason in the clients' table, or `rate`. Without `method` it was no upload.";
    RefusedAgain {
        client: String,
        rule: &'static str,
        times: u64,
        #[serde(serialize_with = "as_text")]
        since: Timestamp,
    } = "refused_again",
        "How often the same rule refused the same client within the minute since then; each minute's first has a line of its own.";
    Reload {
        outcome: &'static str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        changed: Vec<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        at_restart: Vec<String>,
    } = "reload",
        "The settings were read again: `applied`, `unchanged`, or `faulty`, which changes nothing. The names of what changed, and of what needs a restart to.";
    Operator {
        action: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        client: Option<String>,
        outcome: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<IpAddr>,
    } = "operator",
        "An operator did something with the token: `stop`, `resume`, `clear_latches`, `retry_pingbacks`, `drain`; it was `done`, `not_kept` by a store that is down, `failed`, or there was `no_client` of that name.";
    OperatorRefused {
        reason: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<IpAddr>,
    } = "operator_refused",
        "A call to the admin listener was refused, for a reason as in `capgate_admin_refusals_total`; further ones for it within a minute are counted as `refused_again` with no client.";
    Lost { lines: u64, } = "lost",
        "So many lines before this one are missing, and so are their numbers: the file took none for too long.";
}

/// What a captcha cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    #[serde(serialize_with = "as_text")]
    usd: Decimal,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    estimated: bool,
}

impl Cost {
    /// The service's own price.
    #[must_use]
    pub fn told(usd: Decimal) -> Self {
        Self { usd: usd.normalize(), estimated: false }
    }

    /// The price in the settings.
    #[must_use]
    pub fn estimated(usd: Decimal) -> Self {
        Self { usd: usd.normalize(), estimated: true }
    }
}

fn as_text<S: Serializer>(value: &impl std::fmt::Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

/// The hosts of the pages that an upload names, each once. What cannot be read with certainty is left out: a user's name
/// and password could stand in it.
#[must_use]
pub fn pages_of(fields: &[Field]) -> Vec<String> {
    let mut pages: Vec<String> = Vec::new();
    let named = hosts::named(fields).filter(|named| named.role == Role::Page);
    for host in named.filter_map(|named| named.host.ok()) {
        let is_new = !pages.iter().any(|page| page == host.as_str());
        if is_new && pages.len() < PAGES_MAX && host.as_str().len() <= HOST_BYTES_MAX {
            pages.push(host.as_str().to_owned());
        }
    }
    pages
}

/// The names of changes, as many as a line takes.
#[must_use]
pub fn changes(names: &[String]) -> Vec<String> {
    let cut = |name: &String| name.chars().take(CHANGE_SYMBOLS_MAX).collect::<String>();
    let mut changes: Vec<String> = names.iter().take(CHANGES_MAX).map(cut).collect();
    if names.len() > CHANGES_MAX {
        changes.push(format!("and {} more", names.len() - CHANGES_MAX));
    }
    changes
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::protocol::form::Form;

    fn pages(query: &str) -> Vec<String> {
        pages_of(Form::decode(query, &Bytes::new()).unwrap().fields())
    }

    #[test]
    fn of_a_page_its_host_is_written_and_of_what_cannot_be_read_nothing() {
        assert_eq!(pages("pageurl=https://Shop.Example:8443/basket?session=secret%23x"), ["shop.example"]);
        assert_eq!(
            pages("pageurl=shop.example&redirect_uri=https://login.example/cb"),
            ["shop.example", "login.example"]
        );
        assert_eq!(
            pages("pageurl=https://a.example/1&challenge_url=https://a.example/2"),
            ["a.example"],
            "once"
        );
        for nothing in [
            "textcaptcha=2",
            "pageurl=https://user:secret@shop.example/",
            "pageurl=",
            "proxy=http://u:p@h.example:1",
        ] {
            assert!(pages(nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn a_host_as_long_as_there_can_be_and_one_byte_longer() {
        let host =
            |length: usize| format!("pageurl=https://{}.example/", "a".repeat(length - ".example".len()));
        assert_eq!(pages(&host(HOST_BYTES_MAX))[0].len(), HOST_BYTES_MAX);
        assert!(pages(&host(HOST_BYTES_MAX + 1)).is_empty());
    }

    #[test]
    fn as_many_changes_as_a_line_takes_and_one_more() {
        let names =
            |count: usize| (0..count).map(|number| format!("client {number} added")).collect::<Vec<_>>();
        assert_eq!(changes(&names(CHANGES_MAX)), names(CHANGES_MAX));
        let more = changes(&names(CHANGES_MAX + 1));
        assert_eq!((more.len(), more[CHANGES_MAX].as_str()), (CHANGES_MAX + 1, "and 1 more"));
        assert_eq!(changes(&["x".repeat(1_000)])[0].len(), CHANGE_SYMBOLS_MAX);
    }

    #[test]
    fn a_cost_is_written_with_all_its_digits_and_says_when_it_is_a_guess() {
        let written = |cost: Cost| serde_json::to_string(&cost).unwrap();
        assert_eq!(written(Cost::told("0.00085000".parse().unwrap())), r#"{"usd":"0.00085"}"#);
        assert_eq!(written(Cost::estimated("0.001".parse().unwrap())), r#"{"usd":"0.001","estimated":true}"#);
    }
}
