//! How values stand in columns: written and read back here and nowhere else.

use crate::clock::Timestamp;
use crate::protocol::methods::Method;
use crate::protocol::poll::Verdict;

/// An id; one above the signed range is kept as the negative number of the same bits.
pub(super) const fn key(id: u64) -> i64 {
    id.cast_signed()
}

pub(super) const fn read_key(column: i64) -> u64 {
    column.cast_unsigned()
}

pub(super) fn moment(at: Timestamp) -> i64 {
    number(at.as_millis())
}

pub(super) fn read_moment(column: i64) -> Timestamp {
    Timestamp(read_number(column))
}

/// A count; the largest that fits stands for any larger one.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count; a negative one is damage, and none.
pub(super) fn read_number(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

/// One that this version does not know is [`Method::Other`].
pub(super) fn read_method(column: &str) -> Method {
    Method::from_label(column).unwrap_or(Method::Other)
}

pub(super) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::Bad => "bad",
    }
}

pub(super) fn read_verdict(column: Option<&str>) -> Option<Verdict> {
    match column? {
        "good" => Some(Verdict::Good),
        "bad" => Some(Verdict::Bad),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_the_same_and_what_cannot_be_is_the_nearest() {
        for id in [0, 1, 1 << 63, u64::MAX] {
            assert_eq!(read_key(key(id)), id);
        }
        assert_eq!(read_moment(moment(Timestamp(1_728_043_200_000))), Timestamp(1_728_043_200_000));
        assert_eq!((read_number(number(u64::MAX)), read_number(-1)), (i64::MAX.unsigned_abs(), 0));
        for report in [Verdict::Good, Verdict::Bad] {
            assert_eq!(read_verdict(Some(verdict(report))), Some(report));
        }
        assert_eq!((read_verdict(None), read_verdict(Some("so so"))), (None, None));
        assert_eq!(read_method("a method of a later version"), Method::Other);
    }
}
