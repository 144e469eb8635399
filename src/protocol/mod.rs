//! The words of the wire, the same for both sides: codes, parameters, methods, calls and replies.
//!
//! Pure: no time, no IO. `protocol.md` sections are named where a rule comes from one.

pub mod answer;
pub mod errors;
pub mod form;
pub mod hosts;
pub mod ids;
pub mod json;
pub mod methods;
pub mod page;
pub mod parameters;
pub mod pingback;
pub mod poll;
pub mod query;
pub mod repeat;
pub mod reply;
pub mod submit;

pub use answer::{Answer, Solution};
pub use errors::{Code, ErrorCode, Reaction};
pub use form::{Field, Form, FormError};
pub use ids::{CaptchaId, ClientKey, UpstreamKey};
pub use methods::Method;
pub use page::Page;
pub use poll::{ResCall, Verdict};
pub use repeat::{IdempotencyKey, Repeat, Sameness};
pub use submit::{Upload, WrongCall};
