//! What the two shapes of a budget share: units by the moment at which they count, and two times.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Timestamp;

/// When only calls in flight or open captchas stand in the way, nobody knows until when: ask again after this long,
/// or as soon as one of them has ended.
pub const RECHECK: Duration = Duration::from_millis(500);

/// How long after a past was lost a budget gives out its grant.
pub const GRANT_AFTER: Duration = Duration::from_mins(1);

/// Puts `units` at `moment` into a list that is ordered by time.
pub(super) fn insert_sorted(list: &mut VecDeque<(Timestamp, u32)>, moment: Timestamp, units: u32) {
    if units > 0 {
        let place = list.partition_point(|(other, _)| *other <= moment);
        list.insert(place, (moment, units));
    }
}
