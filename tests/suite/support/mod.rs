//! What the suite is built from.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `gateway` | [`TestGateway`]: a gateway in this process, in front of a simulator or of any address |
//! | `recorder` | [`Recorder`]: an upstream that follows a script and remembers every call |
//! | `wire` | calls as bytes on a socket, and replies |
//! | `samples` | uploads of every kind, and the answers that they must get |
//! | `paused` | [`PausedGateway`]: a driver and the simulator's model under a paused clock |
//! | `receivers` | [`NoReceivers`] of pingback |
//! | `process` | [`TestBinary`]: the program as a process |
//! | `program` | [`TestProgram`]: a gateway and a simulator, each a process; [`Setup`] with what they start |

mod gateway;
mod paused;
mod process;
mod program;
mod receivers;
mod recorder;
mod samples;
mod wire;

pub use gateway::{ADMIN_TOKEN, Builder, TestGateway, client_key};
pub use paused::{PausedGateway, form_of, paused};
pub use process::{TestBinary, run};
pub use program::{Setup, TestProgram};
pub use receivers::NoReceivers;
pub use recorder::{Recorded, Recorder, Say};
pub use samples::{base64, expected, image, upload_of};
pub use wire::{Reply, exchange, multipart, post_bytes, read_reply, refused, send, urlencoded};

use std::time::Duration;

/// Between two looks at a condition.
const STEP: Duration = Duration::from_millis(5);
/// Looks before a condition counts as one that never comes: 20 seconds.
const STEPS_MAX: u32 = 4_000;

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not come to hold; `what` is the message.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..STEPS_MAX {
        if condition() {
            return;
        }
        // Nobody unparks this thread: the condition is looked at again and again.
        std::thread::park_timeout(STEP);
    }
    panic!("this never came: {what}");
}
