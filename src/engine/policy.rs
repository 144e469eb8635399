//! What a client may do: its methods, its pages, how long, and whether it was stopped.
//!
//! A client that may not upload may still poll and report: what was paid for is told.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use super::allowance::Quota;
use crate::clock::{Day, Timestamp};
use crate::protocol::errors::ErrorCode;
use crate::protocol::hosts::{self, Host, PagePattern, Role};
use crate::protocol::methods::Method;

use crate::protocol::submit::Upload;

macro_rules! rule_table {
    ($($name:ident = $label:literal => $code:ident, $help:literal;)*) => {
        /// What a client is held to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Rule { $(#[doc = $help] $name,)* }

        impl Rule {
            /// Every rule, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The rule as a metric's label.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// The code that a client is told: one that client libraries know.
            #[must_use]
            pub const fn code(self) -> ErrorCode {
                match self { $(Self::$name => ErrorCode::$code,)* }
            }

            /// When it refuses, for people.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)* }
            }
        }
    };
}

// The code decides what a client library does. To all of them a key that does not exist is the end, as an operator who
// stops a client means it; parameters are the caller's to mend; no money ends a run, and is what getbalance shows; only
// a missing slot is tried again soon. A label is the name of the setting that refuses.
#[rustfmt::skip]
rule_table! {
    Stopped         = "stopped"                 => KeyDoesNotExist,   "The client is stopped, by the setting `stopped` or by an operator.";
    Expired         = "expires"                 => KeyDoesNotExist,   "The day in `expires` is over.";
    Method          = "methods"                 => BadParameters,     "The method is not among `methods`.";
    Page            = "pages"                   => BadTokenOrPageUrl, "A parameter names a host that is not among `pages`, or an address that can be read in two ways.";
    PageMissing     = "page_required"           => PageUrl,           "`page_required` is set and the upload names no page.";
    Disguise        = "disguise"                => BadParameters,     "A parameter has a name that the service takes for one which decides method or page, such as `method[]`.";
    TooManyOpen     = "max_open"                => NoSlotAvailable,   "As many of its captchas are open or wait for their turn as `max_open` allows; passes when one ends.";
    DailyUsd        = "daily_budget_usd"        => ZeroBalance,       "The captcha would go past the money for the day, until midnight UTC.";
    DailyCaptchas   = "daily_budget_captchas"   => ZeroBalance,       "The captchas for the day are used up, until midnight UTC.";
    MonthlyUsd      = "monthly_budget_usd"      => ZeroBalance,       "The captcha would go past the money for the month, until the first of the next, UTC.";
    MonthlyCaptchas = "monthly_budget_captchas" => ZeroBalance,       "The captchas for the month are used up, until the first of the next, UTC.";
}

/// Why a client may not do this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("the client is stopped")]
    Stopped,
    #[error("the client's access ended with {0}")]
    Expired(Day),
    #[error("the client may not upload captchas of the method {}", .0.label())]
    Method(Method),
    #[error("the client may not work on {host}, which {parameter} names")]
    Page { parameter: String, host: Host },
    #[error(
        "the client may work on certain pages only, and {parameter} cannot be read with certainty: {why}"
    )]
    Unreadable { parameter: String, why: hosts::Unreadable },
    #[error("the client has to name the page in pageurl")]
    PageMissing,
    #[error("the parameter {0:?} can be taken for another")]
    Disguise(String),
    #[error("the client has {0} captchas open, as many as it may")]
    TooManyOpen(u32),
    #[error(
        "another captcha would go past the client's limit of {} {} a {}, what is under way counted, until {until}",
        limit.normalize(), quota.unit(), quota.period()
    )]
    Spent { quota: Quota, limit: Decimal, until: Timestamp },
}

impl Denied {
    #[must_use]
    pub const fn rule(&self) -> Rule {
        match self {
            Self::Stopped => Rule::Stopped,
            Self::Expired(_) => Rule::Expired,
            Self::Method(_) => Rule::Method,
            Self::Page { .. } | Self::Unreadable { .. } => Rule::Page,
            Self::PageMissing => Rule::PageMissing,
            Self::Disguise(_) => Rule::Disguise,
            Self::TooManyOpen(_) => Rule::TooManyOpen,
            Self::Spent { quota, .. } => quota.rule(),
        }
    }

    /// Until when it does, where that is known.
    #[must_use]
    pub const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Spent { until, .. } => Some(*until),
            _ => None,
        }
    }
}

/// What one client may do. By default everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    pub is_stopped: bool,
    /// The last day on which it may upload.
    pub last_day: Option<Day>,
    /// Empty: all.
    pub methods: BTreeSet<Method>,
    /// Empty: all.
    pub pages: Vec<PagePattern>,
    pub page_required: bool,
}

impl Policy {
    /// Whether the client may make calls that cost anything.
    ///
    /// # Errors
    /// [`Denied`] when it is stopped or its time is over.
    pub fn may_call(&self, now: Timestamp) -> Result<(), Denied> {
        match self.last_day {
            _ if self.is_stopped => Err(Denied::Stopped),
            Some(last_day) if Day::of(now) > last_day => Err(Denied::Expired(last_day)),
            _ => Ok(()),
        }
    }

    /// Whether the client may upload this.
    ///
    /// # Errors
    /// [`Denied`], the first that applies.
    pub fn may_upload(&self, upload: &Upload, now: Timestamp) -> Result<(), Denied> {
        self.may_call(now)?;
        let has_pages = !self.pages.is_empty() || self.page_required;
        if let Some(name) = hosts::disguised(upload.fields())
            && (has_pages || !self.methods.is_empty())
        {
            return Err(Denied::Disguise(name.to_owned()));
        }
        if !self.methods.is_empty() && !self.methods.contains(&upload.method) {
            return Err(Denied::Method(upload.method));
        }
        if has_pages { self.may_name(upload) } else { Ok(()) }
    }

    fn may_name(&self, upload: &Upload) -> Result<(), Denied> {
        let mut names_a_page = false;
        for named in hosts::named(upload.fields()) {
            let parameter = named.parameter.to_owned();
            let host = named.host.map_err(|why| Denied::Unreadable { parameter: parameter.clone(), why })?;
            names_a_page |= named.role == Role::Page;
            let is_allowed = self.pages.is_empty()
                || self.pages.iter().any(|pattern| pattern.allows(&host))
                || (named.role == Role::Server && host.is_of_a_maker());
            if !is_allowed {
                return Err(Denied::Page { parameter, host });
            }
        }
        if self.page_required && !names_a_page { Err(Denied::PageMissing) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::protocol::form::Form;

    const PAGE: &str = "method=turnstile&sitekey=k&pageurl=";

    fn asked(policy: &Policy, query: &str) -> Result<(), Denied> {
        let form = Form::decode(query, &Bytes::new()).unwrap();
        policy.may_upload(&Upload::check(form).unwrap(), Timestamp(0))
    }

    fn rule(policy: &Policy, query: &str) -> Option<Rule> {
        asked(policy, query).err().map(|denied| denied.rule())
    }

    fn pages(patterns: &[&str]) -> Policy {
        Policy { pages: patterns.iter().map(|text| text.parse().unwrap()).collect(), ..Policy::default() }
    }

    #[test]
    fn without_settings_everything_is_allowed() {
        let policy = Policy::default();
        for query in ["textcaptcha=2", "method=brand_new&pageurl=?", "method=hcaptcha&pageurl[]=x", PAGE] {
            assert_eq!(asked(&policy, query), Ok(()), "{query}");
        }
    }

    #[test]
    fn the_last_day_is_one_and_the_next_is_not() {
        let policy = Policy { last_day: Some("2027-01-31".parse().unwrap()), ..Policy::default() };
        let midnight = "2027-02-01".parse::<Day>().unwrap().start();
        assert_eq!(policy.may_call(Timestamp(midnight.0 - 1)), Ok(()));
        assert_eq!(policy.may_call(midnight), Err(Denied::Expired("2027-01-31".parse().unwrap())));
        let stopped = Policy { is_stopped: true, ..policy };
        assert_eq!(stopped.may_call(midnight), Err(Denied::Stopped));
    }

    #[test]
    fn a_method_is_known_by_what_the_upload_is_and_not_by_its_wire_name() {
        let methods = BTreeSet::from([Method::Text, Method::Turnstile]);
        let policy = Policy { methods, ..Policy::default() };
        assert_eq!(rule(&policy, "method=post&textcaptcha=2"), None);
        assert_eq!(rule(&policy, &format!("{PAGE}https://a.example/")), None);
        for query in ["method=hcaptcha", "method=brand_new", "method=userrecaptcha&version=v3"] {
            assert_eq!(rule(&policy, query), Some(Rule::Method), "{query}");
        }
        for query in [
            "textcaptcha=2&%20method=hcaptcha",
            "textcaptcha=2&method[]=hcaptcha",
            "textcaptcha=2&Version=v3",
        ] {
            assert_eq!(rule(&policy, query), Some(Rule::Disguise), "{query}");
        }
    }

    #[test]
    fn no_parameter_may_name_another_page() {
        let policy = pages(&["*.example.com", "localhost"]);
        for query in [
            "textcaptcha=no+page",
            &format!("{PAGE}https://shop.example.com/"),
            &format!("{PAGE}localhost:3000/&new=https://a.example.com"),
            "method=funcaptcha&pageurl=https://a.example.com&surl=https://x-api.arkoselabs.com",
            "method=userrecaptcha&pageurl=https://a.example.com&domain=recaptcha.net",
        ] {
            assert_eq!(asked(&policy, query), Ok(()), "{query}");
        }
        for query in [
            &format!("{PAGE}https://example.com/"),
            &format!("{PAGE}https://shop.example.com@evil.example/"),
            &format!("{PAGE}https://shop.example.com\\.evil.example/"),
            // A maker's server is no page.
            &format!("{PAGE}https://www.google.com/"),
            "method=funcaptcha&pageurl=https://a.example.com&surl=https://evil.example",
            "method=altcha&pageurl=https://a.example.com&challenge_url=https://evil.example/c",
            "method=datadome&pageurl=https://a.example.com\
             &captcha_url=https://geo.captcha-delivery.com/captcha/?referer=https://evil.example/",
            "method=brand_new&pageurl=https://a.example.com&target=https://evil.example",
        ] {
            assert_eq!(rule(&policy, query), Some(Rule::Page), "{query}");
        }
        assert_eq!(
            rule(&policy, "method=hcaptcha&pageurl=a.example.com&%20pageurl=evil.example"),
            Some(Rule::Disguise)
        );
        let told =
            asked(&policy, &format!("{PAGE}https://evil.example/secret?token=1")).unwrap_err().to_string();
        assert_eq!(told, "the client may not work on evil.example, which pageurl names");
    }

    #[test]
    fn a_page_that_is_required_has_to_be_named_and_readable() {
        let policy = Policy { page_required: true, ..Policy::default() };
        assert_eq!(rule(&policy, &format!("{PAGE}https://any.example/")), None);
        assert_eq!(rule(&policy, "textcaptcha=no+page"), Some(Rule::PageMissing));
        assert_eq!(rule(&policy, &format!("{PAGE}%20")), Some(Rule::PageMissing));
        assert_eq!(rule(&policy, "method=funcaptcha&surl=https://a.example"), Some(Rule::PageMissing));
        assert_eq!(rule(&policy, &format!("{PAGE}https:///")), Some(Rule::Page));
        let both = Policy { page_required: true, ..pages(&["a.example"]) };
        assert_eq!(rule(&both, "textcaptcha=no+page"), Some(Rule::PageMissing));
    }

    #[test]
    fn labels_are_unique() {
        let labels: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.label()).collect();
        assert_eq!(labels.len(), Rule::ALL.len());
    }
}
