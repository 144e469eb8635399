//! A client's call to res.php, parsed once (protocol.md 3.1).

use std::time::Duration;

use super::errors::ErrorCode;
use super::ids::CaptchaId;
use super::pingback::Host;
use super::query::Parameters;
use super::submit::WrongCall;

/// Most ids in one client's `ids` call.
pub const IDS_MAX: usize = 1_000;
/// Most ids in one call that waits.
pub const WAIT_IDS_MAX: usize = 100;
/// Longest wait that a client can ask for.
pub const WAIT_MAX: Duration = Duration::from_mins(5);

/// Which way a captcha is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    Good,
    Bad,
}

impl Verdict {
    /// The `action` that reports it.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::Good => "reportgood",
            Self::Bad => "reportbad",
        }
    }
}

/// What a call to res.php asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResCall {
    /// One captcha's answer; `with_price` for `get2`.
    Get {
        id: CaptchaId,
        with_price: bool,
        /// How long the client asks to wait for the answer.
        wait: Option<Duration>,
    },
    /// Several answers; an id that is malformed has its code in its place. `get2` asks the same, for no source says how
    /// a price would stand in a joined reply (protocol.md 3.1).
    GetMany {
        ids: Vec<Result<CaptchaId, ErrorCode>>,
        /// How long the client asks to wait for one of them.
        wait: Option<Duration>,
    },
    Report {
        id: CaptchaId,
        verdict: Verdict,
    },
    Balance,
    /// Statistics of a day, `YYYY-MM-DD`.
    Stats {
        date: String,
    },
    AddPingback {
        host: Host,
    },
    ListPingbacks,
    RemovePingback {
        host: Host,
    },
    RemoveAllPingbacks,
}

impl ResCall {
    /// # Errors
    /// [`WrongCall`] with the upstream's own code: `ERROR_EMPTY_ACTION`, `ERROR_WRONG_ID_FORMAT`,
    /// `ERROR_WRONG_CAPTCHA_ID`, `ERROR_BAD_PARAMETERS`.
    pub fn parse(form: &impl Parameters) -> Result<Self, WrongCall> {
        let Some(action) = form.word("action") else {
            return Err(WrongCall::new(ErrorCode::EmptyAction, "the parameter action is missing"));
        };
        match &*action {
            b"get" => Self::parse_get(form, false),
            b"get2" => Self::parse_get(form, true),
            b"reportbad" => Ok(Self::Report { id: parse_id(form)?, verdict: Verdict::Bad }),
            b"reportgood" => Ok(Self::Report { id: parse_id(form)?, verdict: Verdict::Good }),
            b"getbalance" => Ok(Self::Balance),
            b"getstats" => Ok(Self::Stats { date: parse_date(form)? }),
            b"add_pingback" => Ok(Self::AddPingback { host: parse_host(form)? }),
            b"get_pingback" => Ok(Self::ListPingbacks),
            b"del_pingback" if form.word("addr").as_deref() == Some(b"all") => Ok(Self::RemoveAllPingbacks),
            b"del_pingback" => Ok(Self::RemovePingback { host: parse_host(form)? }),
            // An action that we do not know could read or change what belongs to everybody: it is not forwarded.
            _ => Err(WrongCall::new(ErrorCode::EmptyAction, "the action is not known")),
        }
    }

    fn parse_get(form: &impl Parameters, with_price: bool) -> Result<Self, WrongCall> {
        let wait = parse_wait(form)?;
        let Some(ids) = form.word("ids") else {
            return Ok(Self::Get { id: parse_id(form)?, with_price, wait });
        };
        // JSON clients may send an array; its text then stands in brackets and quotes.
        let ids: Vec<_> = ids
            .split(|byte| *byte == b',')
            .map(|id| CaptchaId::parse(id.trim_ascii().trim_with(|byte| matches!(byte, b'[' | b']' | b'"'))))
            .collect();
        let (ids_max, whose) = if wait.is_some() { (WAIT_IDS_MAX, " with wait") } else { (IDS_MAX, "") };
        if ids.len() > ids_max {
            let reason = format!("{} ids; at most {ids_max} are taken{whose}", ids.len());
            return Err(WrongCall::new(ErrorCode::BadParameters, reason));
        }
        Ok(Self::GetMany { ids, wait })
    }
}

trait TrimWith {
    fn trim_with(&self, is_margin: impl Fn(u8) -> bool) -> &[u8];
}

impl TrimWith for [u8] {
    fn trim_with(&self, is_margin: impl Fn(u8) -> bool) -> &[u8] {
        let mut rest = self;
        while let [first, inner @ ..] = rest {
            if !is_margin(*first) {
                break;
            }
            rest = inner;
        }
        while let [inner @ .., last] = rest {
            if !is_margin(*last) {
                break;
            }
            rest = inner;
        }
        rest
    }
}

fn parse_id(form: &impl Parameters) -> Result<CaptchaId, WrongCall> {
    CaptchaId::parse(&form.word("id").unwrap_or_default()).map_err(|code| WrongCall::new(code, code.help()))
}

/// The seconds in `wait`; none without it.
fn parse_wait(form: &impl Parameters) -> Result<Option<Duration>, WrongCall> {
    let Some(text) = form.word("wait") else { return Ok(None) };
    let seconds =
        std::str::from_utf8(&text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let wait = seconds.and_then(|text| text.parse().ok()).map(Duration::from_secs);
    wait.filter(|wait| *wait <= WAIT_MAX).map(Some).ok_or_else(|| {
        let most = WAIT_MAX.as_secs();
        let reason = format!("wait is not a whole number of seconds from 0 to {most}");
        WrongCall::new(ErrorCode::BadParameters, reason)
    })
}

fn parse_date(form: &impl Parameters) -> Result<String, WrongCall> {
    form.word("date")
        .and_then(|date| jiff::civil::Date::strptime("%Y-%m-%d", &*date).ok())
        .map(|date| date.to_string())
        .ok_or_else(|| WrongCall::new(ErrorCode::BadParameters, "date is not a day like 2013-11-27"))
}

fn parse_host(form: &impl Parameters) -> Result<Host, WrongCall> {
    let wrong = |why: String| WrongCall::new(ErrorCode::BadParameters, why);
    let text = form.word("addr").ok_or_else(|| wrong("addr is missing".to_owned()))?;
    Host::parse(&text).map_err(|error| wrong(format!("addr: {error}")))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::protocol::form::Form;

    fn parse(query: &str) -> Result<ResCall, ErrorCode> {
        ResCall::parse(&Form::decode(query, &Bytes::new()).unwrap()).map_err(|wrong| wrong.code)
    }

    #[test]
    fn every_documented_action() {
        let id = CaptchaId(12);
        assert_eq!(parse("action=get&id=12"), Ok(ResCall::Get { id, with_price: false, wait: None }));
        assert_eq!(parse("action=get2&id=12"), Ok(ResCall::Get { id, with_price: true, wait: None }));
        assert_eq!(parse("action=reportbad&id=12"), Ok(ResCall::Report { id, verdict: Verdict::Bad }));
        assert_eq!(parse("action=reportgood&id=12"), Ok(ResCall::Report { id, verdict: Verdict::Good }));
        assert_eq!(parse("action=getbalance"), Ok(ResCall::Balance));
        assert_eq!(
            parse("action=getstats&date=2013-11-27"),
            Ok(ResCall::Stats { date: "2013-11-27".into() })
        );
        let host = Host::parse(b"a").unwrap();
        assert_eq!(parse("action=add_pingback&addr=a/b"), Ok(ResCall::AddPingback { host: host.clone() }));
        assert_eq!(parse("action=get_pingback"), Ok(ResCall::ListPingbacks));
        assert_eq!(parse("action=del_pingback&addr=a"), Ok(ResCall::RemovePingback { host }));
        assert_eq!(parse("action=del_pingback&addr=all"), Ok(ResCall::RemoveAllPingbacks));
    }

    #[test]
    fn a_malformed_id_among_several_spoils_only_its_own_place() {
        let ids = vec![Ok(CaptchaId(1)), Err(ErrorCode::WrongIdFormat), Ok(CaptchaId(3))];
        assert_eq!(parse("action=get&ids=1,x,+3"), Ok(ResCall::GetMany { ids, wait: None }));
    }

    #[test]
    fn ids_of_a_json_body_may_be_an_array() {
        let form = Form::decode("", &Bytes::from_static(br#"{"action":"get","ids":[1,"2"]}"#)).unwrap();
        let ids = vec![Ok(CaptchaId(1)), Ok(CaptchaId(2))];
        assert_eq!(ResCall::parse(&form), Ok(ResCall::GetMany { ids, wait: None }));
    }

    #[test]
    fn as_many_ids_as_allowed_and_one_more() {
        let ids = |count: usize| format!("action=get&ids={}", vec!["1"; count].join(","));
        assert!(parse(&ids(IDS_MAX)).is_ok());
        assert_eq!(parse(&ids(IDS_MAX + 1)), Err(ErrorCode::BadParameters));
    }

    #[test]
    fn a_wait_is_a_whole_number_of_seconds_up_to_five_minutes() {
        let id = CaptchaId(12);
        for (text, seconds) in [("0", 0), ("7", 7), ("+300+", 300)] {
            let wait = Some(Duration::from_secs(seconds));
            let query = format!("action=get&id=12&wait={text}");
            assert_eq!(parse(&query), Ok(ResCall::Get { id, with_price: false, wait }));
        }
        assert_eq!(parse("action=get&id=12&wait="), Ok(ResCall::Get { id, with_price: false, wait: None }));
        for wrong in ["301", "-1", "%2B5", "5s", "1.5", "99999999999999999999", "%FF"] {
            assert_eq!(
                parse(&format!("action=get&id=12&wait={wrong}")),
                Err(ErrorCode::BadParameters),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_call_that_waits_takes_as_many_ids_as_allowed_and_not_one_more() {
        let ids = |count: usize| format!("action=get&wait=1&ids={}", vec!["1"; count].join(","));
        assert!(parse(&ids(WAIT_IDS_MAX)).is_ok());
        assert_eq!(parse(&ids(WAIT_IDS_MAX + 1)), Err(ErrorCode::BadParameters));
    }

    #[test]
    fn what_is_wrong_has_the_upstreams_own_code() {
        assert_eq!(parse(""), Err(ErrorCode::EmptyAction));
        assert_eq!(parse("action=drop_everything"), Err(ErrorCode::EmptyAction));
        assert_eq!(parse("action=get"), Err(ErrorCode::WrongIdFormat));
        assert_eq!(parse("action=get&id=1a"), Err(ErrorCode::WrongIdFormat));
        assert_eq!(parse("action=get&id=99999999999999999999999"), Err(ErrorCode::WrongCaptchaId));
        assert_eq!(parse("action=getstats&date=yesterday"), Err(ErrorCode::BadParameters));
        assert_eq!(parse("action=add_pingback&addr=a|b"), Err(ErrorCode::BadParameters));
    }
}
