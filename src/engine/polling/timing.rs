//! The moments at which looks may fall.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::protocol::methods::{FirstLook, Method};

/// Steps of the grid between two looks at one captcha. They come to a little more than `interval`, see
/// [`GRID_SLACK_PARTS`].
const GRID_STEPS: u32 = 6;
/// The interval runs from the reply, the grid from the look: a reply within a twentieth of `interval` still lets the next
/// look fall on the last of the steps and not on the one after.
const GRID_SLACK_PARTS: u32 = 20;
/// Widest grid: well below [`LAST_LOOK_BEFORE_END`](crate::engine::captcha::LAST_LOOK_BEFORE_END).
pub(super) const GRID_MAX: Duration = Duration::from_secs(1);

/// The settings of `[polling]` that decide when to look.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Shortest time between two looks at one captcha.
    pub interval: Duration,
    pub first_look: Duration,
    pub first_look_token: Duration,
    /// Most ids in one call.
    pub max_ids: usize,
}

impl Timing {
    /// Distance of the moments at which looks are made.
    pub(super) fn grid(&self) -> Duration {
        ((self.interval + self.interval / GRID_SLACK_PARTS) / GRID_STEPS)
            .clamp(Duration::from_millis(1), GRID_MAX)
    }

    /// From the upload to the first look.
    #[must_use]
    pub const fn first_look_of(&self, method: Method) -> Duration {
        match method.first_look() {
            FirstLook::Image => self.first_look,
            FirstLook::Token => self.first_look_token,
        }
    }
}

/// The first moment of the grid from `moment` on.
pub(super) fn grid_after(moment: Timestamp, grid: Duration) -> Timestamp {
    let grid = u64::try_from(grid.as_millis()).unwrap_or(u64::MAX).max(1);
    Timestamp(moment.0.div_ceil(grid).saturating_mul(grid))
}
