//! What is taken from strangers, in one table: of a client's call, and of an upstream's reply.

use std::time::Duration;

use super::call::{BODY_BYTES_MAX, BODY_BYTES_PER_SECOND_MIN, BODY_SLOW_FOR, BODY_WITHIN};
use super::connections::{ADDRESS_BODIES_BYTES_MAX, BODIES_BYTES_MAX, QUIET_MAX};
use super::wrong_keys::{
    ADDRESSES_MAX as WRONG_ADDRESSES_MAX, AT_ONCE_MAX as WRONG_AT_ONCE_MAX, HELD_MAX as WRONG_HELD_MAX,
};
use crate::protocol::form::{NAME_BYTES_MAX, PARAMETERS_MAX};
use crate::protocol::json::DEPTH_MAX;
use crate::protocol::reply::{ANSWER_BYTES_MAX, REPLY_BYTES_MAX};

/// How long an idle client connection is kept.
pub const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to send the head of its first call.
pub const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a client may take to agree on TLS.
pub const TLS_WITHIN: Duration = Duration::from_secs(3);
/// Connections to the admin listener that are taken at once.
pub const ADMIN_CONNECTIONS_MAX: usize = 256;
/// Most bytes of a head, and most headers in it: the web server's own.
const HEAD_BYTES_MAX: usize = 128 * 1024;
const HEADERS_MAX: usize = 96;
const ADDRESS_BYTES_MAX: usize = 65_534;

/// What is limited, to what, and what comes of one more.
#[must_use]
pub fn rows() -> Vec<[String; 3]> {
    let row = |what: &str, limit: String, told: &str| [what.to_owned(), limit, told.to_owned()];
    let seconds = |time: Duration| format!("{} s", time.as_secs());
    let kb = |bytes: usize| format!("{} kB", bytes / 1024);
    let mb = |bytes: usize| format!("{} MB", bytes >> 20);
    vec![
        row(
            "open connections, also those over which TLS is being agreed on",
            "`listen.connections_max`".into(),
            "HTTP 503 and a line of text; over https it is closed",
        ),
        row("of them from one address", "`listen.connections_per_address`".into(), "the same"),
        row("time for agreeing on TLS", seconds(TLS_WITHIN), "it is closed"),
        row("time for the head of a connection's first call", seconds(HEAD_WITHIN), "HTTP 408"),
        row("an idle connection", seconds(KEEP_ALIVE), "it is closed"),
        row(
            "a connection without a whole call, or whose replies nobody reads",
            seconds(QUIET_MAX),
            "it is closed",
        ),
        row(
            "calls with a wrong key from one address (IPv6: from its /64) within a minute",
            WRONG_AT_ONCE_MAX.to_string(),
            "each further one is answered 2 s later, and the connection is closed; right keys of the same address are not slowed down",
        ),
        row(
            "of them waiting at once",
            WRONG_HELD_MAX.to_string(),
            "answered at once, and the connection is closed",
        ),
        row(
            "addresses of wrong keys that are remembered",
            WRONG_ADDRESSES_MAX.to_string(),
            "another one is forgotten, and answered at once again",
        ),
        row("a call's head", kb(HEAD_BYTES_MAX), "HTTP 431"),
        row("headers in it", HEADERS_MAX.to_string(), "HTTP 431"),
        row("path and query", format!("{ADDRESS_BYTES_MAX} bytes"), "HTTP 400"),
        row("a body", mb(BODY_BYTES_MAX), "`ERROR_TOO_BIG_CAPTCHA_FILESIZE`"),
        row("time for a body", seconds(BODY_WITHIN), "`ERROR_UPLOAD`"),
        row(
            &format!("how far a body lags behind {BODY_BYTES_PER_SECOND_MIN} bytes a second"),
            seconds(BODY_SLOW_FOR),
            "`ERROR_UPLOAD`",
        ),
        row("a body with a `Content-Encoding`", "none is unpacked".into(), "`ERROR_UPLOAD`"),
        row("bodies being read, all together", mb(BODIES_BYTES_MAX), "`ERROR_NO_SLOT_AVAILABLE`"),
        row("of them from one address", mb(ADDRESS_BODIES_BYTES_MAX), "`ERROR_NO_SLOT_AVAILABLE`"),
        row("parameters of a call, parts and members", PARAMETERS_MAX.to_string(), "`ERROR_BAD_PARAMETERS`"),
        row("a parameter's name", format!("{NAME_BYTES_MAX} bytes"), "`ERROR_BAD_PARAMETERS`"),
        row("nesting of JSON", format!("{DEPTH_MAX} levels"), "`ERROR_UPLOAD`"),
        row(
            "uploads that wait",
            "`uploads.queue_max`, `uploads.queue_bytes_max`".into(),
            "`ERROR_NO_SLOT_AVAILABLE`",
        ),
        row("polls that wait", "`polling.held_max`".into(), "answered at once"),
        row(
            "an upstream call",
            "`upstream.timeout`, redirects are not followed".into(),
            "an upload: `ERROR_NO_SLOT_AVAILABLE`; a look is made again",
        ),
        row("an upstream reply", mb(REPLY_BYTES_MAX), "the same"),
        row("an answer", kb(ANSWER_BYTES_MAX), "the look is made again"),
        row(
            "open connections to the admin listener",
            ADMIN_CONNECTIONS_MAX.to_string(),
            "it waits until another is closed",
        ),
    ]
}
