//! Enemies on both sides, over real sockets: clients that want to break the gateway or starve the others, and an upstream
//! that says anything.
//!
//! | file | what it is |
//! | --- | --- |
//! | `limits` | each limit of a call at its edge and one over, and what the sender is told |
//! | `malformed` | bytes that are no call, or two |
//! | `slow` | senders that hold a place |
//! | `panics` | a call whose handler panics |
//! | `crowd`, `attacks` | attacks while honest clients are served: their latency and the gateway's memory are printed |
//! | `upstream` | an upstream as an enemy |
//! | `secrets` | everything that a busy, failing gateway wrote, searched for every secret |

mod attacks;
mod crowd;
mod limits;
mod malformed;
mod panics;
mod secrets;
mod slow;
mod upstream;
