//! The one place where our errors become a wire reply.
//!
//! A processed call is always HTTP 200: the official Python client ends a solve on any other status. Our own refusals
//! use codes that client libraries know (protocol.md 7, trap 7), and say why in `error_text` and in `X-Capgate-Reason`.

use actix_web::HttpResponse;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue,
};
use bytes::Bytes;

use crate::driver::Refusal;
use crate::driver::account::Failure;
use crate::driver::answers::Found;
use crate::driver::callbacks::OPEN_MAX;
use crate::driver::pingbacks::{ADDRESSES_MAX, NotRegistered};
use crate::driver::repeats::KEYS_MAX;
use crate::driver::reports::NotReported;
use crate::engine::Denied;
use crate::engine::allowance::Left;
use crate::engine::refusal::Why;
use crate::protocol::errors::{Code, ErrorCode, Reaction};
use crate::protocol::ids::CaptchaId;
use crate::protocol::repeat::IDEMPOTENCY_KEY;
use crate::protocol::reply::{self, Form};
use crate::protocol::submit::WrongCall;

const REASON: &str = "X-Capgate-Reason";
const BUDGET: HeaderName = HeaderName::from_static("x-capgate-budget");

/// A path that there is not; `hint` says which there are. It does not say where: a path can hold a key that was put into
/// the wrong place.
pub(super) fn no_page(hint: &str) -> HttpResponse {
    let text = format!("nothing is here; {hint}\n");
    HttpResponse::NotFound().content_type("text/plain; charset=UTF-8").body(text)
}

/// How a client wants to be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Respond {
    pub form: Form,
    /// `header_acao=1`.
    pub allows_any_origin: bool,
}

/// A code to tell, and why.
struct Told {
    code: Code,
    reason: Option<String>,
}

impl Told {
    fn new(code: impl Into<Code>, reason: impl Into<String>) -> Self {
        Self { code: code.into(), reason: Some(reason.into()) }
    }

    fn denied(denied: &Denied) -> Self {
        Self::new(denied.rule().code(), denied.to_string())
    }
}

impl Respond {
    pub fn accepted(self, id: CaptchaId) -> HttpResponse {
        self.body(reply::write_accepted(id, self.form))
    }

    pub fn text(self, text: &str) -> HttpResponse {
        self.body(reply::write_text(text, self.form))
    }

    pub fn list(self, items: &[String]) -> HttpResponse {
        self.body(reply::write_list(items, self.form))
    }

    pub fn batch(self, pieces: &[Bytes]) -> HttpResponse {
        self.body(reply::write_batch(pieces, self.form))
    }

    /// A page of the upstream, as it came.
    pub fn page(self, text: &str, content_type: &'static str) -> HttpResponse {
        self.reply(text.to_owned().into(), content_type, None)
    }

    pub fn code(self, code: ErrorCode, reason: &str) -> HttpResponse {
        self.told(&Told::new(code, reason))
    }

    pub fn wrong(self, wrong: WrongCall) -> HttpResponse {
        self.told(&Told::new(wrong.code, wrong.reason))
    }

    /// What a poll found.
    pub fn found(self, found: &Found, with_price: bool) -> HttpResponse {
        match found {
            Found::Solved(solution) => self.body(reply::write_solution(solution, with_price, self.form)),
            Found::NotReady | Found::PriceMissing { .. } => {
                self.body(reply::write_code(&ErrorCode::NotReady.into(), None, self.form))
            }
            Found::Nothing => self.code(ErrorCode::WrongCaptchaId, ErrorCode::WrongCaptchaId.help()),
        }
    }

    /// An upload that got no id.
    pub fn refused(self, refusal: Refusal) -> HttpResponse {
        let no_slot = |reason: String| Told::new(ErrorCode::NoSlotAvailable, reason);
        self.told(&match refusal {
            Refusal::Wrong(wrong) => Told::new(wrong.code, wrong.reason),
            Refusal::Denied(denied) => Told::denied(&denied),
            Refusal::Upstream { code, text } => Told { code, reason: text },
            Refusal::NotNow(refusal) => match refusal.why {
                Why::ZeroBalance => Told::new(ErrorCode::ZeroBalance, refusal.to_string()),
                Why::Rule(_) | Why::NoSlot | Why::Blocked(_) | Why::KeyRefused(_) | Why::KeyUnconfirmed => {
                    no_slot(refusal.to_string())
                }
            },
            Refusal::NotInTime => no_slot("the upload's turn did not come in time".into()),
            Refusal::Unreachable => no_slot("the upstream cannot be reached".into()),
            Refusal::QueueFull(limit) => no_slot(limit.to_string()),
            Refusal::KeysFull => no_slot(format!(
                "{KEYS_MAX} uploads of the last 15 minutes have an {IDEMPOTENCY_KEY}; without one it may go"
            )),
            Refusal::PingbacksFull => no_slot(format!(
                "{OPEN_MAX} pingbacks of the client are on their way; an upload without one may go"
            )),
            Refusal::TooFast => no_slot("the client uploads faster than its rate".into()),
            Refusal::ClientRemoved => Told::new(ErrorCode::KeyDoesNotExist, "the client was removed from the settings"),
            Refusal::HungUp => no_slot("the client closed its connection while the upload waited".into()),
            Refusal::Unknown => no_slot("the upstream's reply was lost; the upload is not sent again".into()),
            Refusal::StoreDown => no_slot(
                "the store is down: nothing is bought that cannot be remembered; send it again".into(),
            ),
            Refusal::NotKeptYet => no_slot(
                "the store went down when the upload was accepted; send it again to get its id once it is kept"
                    .into(),
            ),
            Refusal::Stopping => no_slot("the gateway is stopping".into()),
        })
    }

    /// A call that its client may not make.
    pub fn denied(self, denied: &Denied) -> HttpResponse {
        self.told(&Told::denied(denied))
    }

    /// A question about the account that has no answer.
    pub fn no_answer(self, failure: Failure) -> HttpResponse {
        self.told(&match failure {
            // The client's call was wrong. Any other code speaks of our key or of the account, which are not the
            // client's.
            Failure::Code(code) if code.reaction() == Reaction::FixCall => Told { code, reason: None },
            failure => Told::new(ErrorCode::NoSlotAvailable, failure.to_string()),
        })
    }

    /// A report that was not recorded.
    pub fn not_reported(self, failure: NotReported) -> HttpResponse {
        self.told(&match failure {
            NotReported::WrongCaptcha => {
                Told::new(ErrorCode::WrongCaptchaId, ErrorCode::WrongCaptchaId.help())
            }
            NotReported::Duplicate => {
                Told::new(ErrorCode::DuplicateReport, ErrorCode::DuplicateReport.help())
            }
            NotReported::Upstream(code) => Told { code, reason: None },
            NotReported::NotNow(reason) => Told::new(ErrorCode::ErrorReportNotRecorded, reason),
        })
    }

    /// A pingback address that was not registered or removed.
    pub fn not_registered(self, failure: NotRegistered) -> HttpResponse {
        self.told(&match failure {
            NotRegistered::TooMany => {
                Told::new(ErrorCode::BadParameters, format!("a client has {ADDRESSES_MAX} hosts at most"))
            }
            NotRegistered::NotFrom(from) => Told::new(
                ErrorCode::IpAddress,
                format!("the call came from {from}, which is not the host's address; pingback.register_from allows others"),
            ),
            NotRegistered::NoReceiver(why) => Told::new(ErrorCode::IpAddress, why.to_string()),
            NotRegistered::StoreDown => {
                Told::new(ErrorCode::BadParameters, "the store is down; try again later")
            }
        })
    }

    fn told(self, told: &Told) -> HttpResponse {
        let body = reply::write_code(&told.code, told.reason.as_deref(), self.form);
        self.reply(body, self.content_type(), told.reason.as_deref())
    }

    fn body(self, body: Bytes) -> HttpResponse {
        self.reply(body, self.content_type(), None)
    }

    const fn content_type(self) -> &'static str {
        match self.form {
            // Not text/plain: it is what the upstream says, and what old clients were written against.
            Form::Plain => "text/html; charset=UTF-8",
            Form::Json => "application/json; charset=UTF-8",
        }
    }

    fn reply(self, body: Bytes, content_type: &'static str, reason: Option<&str>) -> HttpResponse {
        let mut reply = HttpResponse::Ok();
        reply.insert_header((CONTENT_TYPE, HeaderValue::from_static(content_type)));
        reply.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
        if self.allows_any_origin {
            reply.insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")));
        }
        if let Some(reason) = reason {
            // A header holds visible ASCII; a reason can quote what a client sent.
            let visible = reason.chars().map(|symbol| match symbol {
                ' '..='~' => symbol,
                _ => '?',
            });
            reply.insert_header((REASON, visible.take(500).collect::<String>()));
        }
        reply.body(body)
    }
}

/// Says in a header what is left of each of the client's budgets: a balance is one number, and captchas are none.
pub(super) fn with_budgets(mut reply: HttpResponse, left: &[Left]) -> HttpResponse {
    let told = |Left { quota, limit, left, until }: &Left| {
        format!("{}={}/{} until {until}", quota.rule().label(), left.normalize(), limit.normalize())
    };
    let told: Vec<String> = left.iter().map(told).collect();
    if !told.is_empty()
        && let Ok(value) = HeaderValue::from_str(&told.join(", "))
    {
        reply.headers_mut().insert(BUDGET, value);
    }
    reply
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;

    use super::*;

    fn plain() -> Respond {
        Respond { form: Form::Plain, allows_any_origin: false }
    }

    #[test]
    fn a_refusal_is_http_200_and_says_why() {
        let reply = plain().refused(Refusal::Unknown);
        assert_eq!(reply.status(), StatusCode::OK);
        let reason = reply.headers().get(REASON).unwrap().to_str().unwrap();
        assert!(reason.contains("not sent again"), "{reason}");
        assert!(reply.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN).is_none());
    }

    #[test]
    fn a_reason_cannot_add_a_header() {
        let wrong = WrongCall::new(ErrorCode::Upload, "bad\r\nSet-Cookie: я=1");
        let reply = plain().wrong(wrong);
        assert_eq!(reply.headers().get(REASON).unwrap(), "bad??Set-Cookie: ?=1");
    }

    #[test]
    fn a_code_about_the_accounts_key_does_not_reach_a_client() {
        for code in [ErrorCode::KeyDoesNotExist, ErrorCode::Block1005, ErrorCode::IpBanned] {
            let reply = plain().no_answer(Failure::Code(code.into()));
            assert!(reply.headers().get(REASON).is_some());
        }
    }

    #[test]
    fn any_origin_is_allowed_only_when_asked_for() {
        let reply = Respond { form: Form::Json, allows_any_origin: true }.text("1.5");
        assert_eq!(reply.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN).unwrap(), "*");
        assert_eq!(reply.headers().get(CONTENT_TYPE).unwrap(), "application/json; charset=UTF-8");
    }
}
