//! The moments at which looks may fall.

use std::time::Duration;

use crate::clock::Timestamp;

/// Steps of the grid between two looks at one captcha. They come to a little more than `interval`, see
/// [`GRID_SLACK_PARTS`].
const GRID_STEPS: u32 = 6;
/// The interval runs from the reply, the grid from the look: a reply within a twentieth of `interval` still lets the next
/// look fall on the last of the steps and not on the one after.
const GRID_SLACK_PARTS: u32 = 20;
/// Widest grid: well below [`LAST_LOOK_BEFORE_END`](crate::engine::captcha::LAST_LOOK_BEFORE_END).
pub(super) const GRID_MAX: Duration = Duration::from_secs(1);

/// Distance of the moments at which looks are made.
pub(super) fn grid(interval: Duration) -> Duration {
    ((interval + interval / GRID_SLACK_PARTS) / GRID_STEPS).clamp(Duration::from_millis(1), GRID_MAX)
}

/// The first moment of the grid from `moment` on.
pub(super) fn grid_after(moment: Timestamp, grid: Duration) -> Timestamp {
    let grid = u64::try_from(grid.as_millis()).unwrap_or(u64::MAX).max(1);
    Timestamp(moment.0.div_ceil(grid).saturating_mul(grid))
}
