//! Decisions. Pure: every call takes `now`.
pub mod polling;
