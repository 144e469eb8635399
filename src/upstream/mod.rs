//! The solver service, as a transport: a call goes out, bytes come back. What they mean is read in
//! [`protocol::reply`](crate::protocol::reply).

mod betrayal;
pub mod connection;
pub mod http;
pub mod tls;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::engine::polling::{LookCall, LookForm};
use crate::protocol::form::Field;
use crate::protocol::ids::{CaptchaId, UpstreamKey};
use crate::protocol::poll::Verdict;
use crate::protocol::submit::{Upload, urlencoded};

pub use http::{HttpUpstream, Ways};

/// One call to the upstream.
#[derive(Clone, Debug)]
pub enum Call {
    Submit(Arc<Upload>),
    Look(LookCall),
    Report {
        id: CaptchaId,
        verdict: Verdict,
    },
    Balance,
    /// Statistics of a day, `YYYY-MM-DD`.
    Stats {
        date: String,
    },
    Load,
    /// Answers may be pushed to this host.
    AddPingback {
        host: String,
    },
}

/// What kind of call: the label `call` in metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    Submit,
    LookAlone,
    LookBatch,
    Report,
    Balance,
    Stats,
    Load,
    AddPingback,
}

impl CallKind {
    pub const ALL: &[Self] = &[
        Self::Submit,
        Self::LookAlone,
        Self::LookBatch,
        Self::Report,
        Self::Balance,
        Self::Stats,
        Self::Load,
        Self::AddPingback,
    ];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::LookAlone => "look_alone",
            Self::LookBatch => "look_batch",
            Self::Report => "report",
            Self::Balance => "balance",
            Self::Stats => "stats",
            Self::Load => "load",
            Self::AddPingback => "add_pingback",
        }
    }
}

impl Call {
    #[must_use]
    pub fn kind(&self) -> CallKind {
        match self {
            Self::Submit(_) => CallKind::Submit,
            Self::Look(look) if look.form == LookForm::Batch => CallKind::LookBatch,
            Self::Look(_) => CallKind::LookAlone,
            Self::Report { .. } => CallKind::Report,
            Self::Balance => CallKind::Balance,
            Self::Stats { .. } => CallKind::Stats,
            Self::Load => CallKind::Load,
            Self::AddPingback { .. } => CallKind::AddPingback,
        }
    }

    /// The page that takes the call.
    #[must_use]
    pub const fn page(&self) -> &'static str {
        match self {
            Self::Submit(_) => "in.php",
            Self::Load => "load.php",
            _ => "res.php",
        }
    }

    /// The parameters of a res.php or load.php call as a query, the key first.
    #[must_use]
    pub fn query(&self, key: &UpstreamKey) -> Bytes {
        let mut fields = vec![Field::text("key", Bytes::copy_from_slice(key.expose().as_bytes()))];
        let mut add = |name: &str, value: String| fields.push(Field::text(name, value));
        match self {
            Self::Submit(_) => {}
            Self::Load => fields.clear(),
            Self::Look(look) => {
                let ids: Vec<String> = look.ids.iter().map(ToString::to_string).collect();
                add("action", if look.form == LookForm::Price { "get2" } else { "get" }.into());
                add(if look.form == LookForm::Batch { "ids" } else { "id" }, ids.join(","));
                if matches!(look.form, LookForm::Json | LookForm::Price) {
                    add("json", "1".into());
                }
            }
            Self::Report { id, verdict } => {
                add("action", verdict.action().into());
                add("id", id.to_string());
            }
            Self::Balance => add("action", "getbalance".into()),
            Self::Stats { date } => {
                add("action", "getstats".into());
                add("date", date.clone());
            }
            Self::AddPingback { host } => {
                add("action", "add_pingback".into());
                add("addr", host.clone());
            }
        }
        urlencoded(fields.iter(), 128)
    }
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// The connection was refused or the name not found: the upstream certainly knows nothing of the call.
    #[error("not sent: {0}")]
    NotSent(String),
    /// Sent, and then no whole reply: the upstream may have carried it out.
    #[error("no reply: {0}")]
    Lost(String),
    /// A reply that carries no answer: every status other than 200 (protocol.md 1).
    #[error("status {0}")]
    Status(u16),
}

/// Carries calls to the upstream and replies back.
pub trait Upstream: Send + Sync + 'static {
    /// Sends `call` and waits for the whole body of the reply, within the upstream's own limits of time and size.
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Bytes, UpstreamError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(call: &Call) -> String {
        String::from_utf8(call.query(&UpstreamKey::new("k")).to_vec()).unwrap()
    }

    fn look(ids: &[u64], form: LookForm) -> Call {
        let ids = ids.iter().map(|id| CaptchaId(*id)).collect();
        Call::Look(LookCall { ids, ..LookCall::alone(CaptchaId(1), form) })
    }

    #[test]
    fn queries_are_those_of_the_documentation() {
        assert_eq!(query(&look(&[1, 2], LookForm::Batch)), "key=k&action=get&ids=1%2C2");
        assert_eq!(query(&look(&[1], LookForm::Plain)), "key=k&action=get&id=1");
        assert_eq!(query(&look(&[1], LookForm::Json)), "key=k&action=get&id=1&json=1");
        assert_eq!(query(&look(&[1], LookForm::Price)), "key=k&action=get2&id=1&json=1");
        let report = Call::Report { id: CaptchaId(9), verdict: Verdict::Bad };
        assert_eq!(query(&report), "key=k&action=reportbad&id=9");
        assert_eq!(query(&Call::Balance), "key=k&action=getbalance");
        assert_eq!(
            query(&Call::Stats { date: "2013-11-27".into() }),
            "key=k&action=getstats&date=2013-11-27"
        );
        assert_eq!(query(&Call::Load), "");
        let host = "gw.example".into();
        assert_eq!(query(&Call::AddPingback { host }), "key=k&action=add_pingback&addr=gw.example");
    }
}
