//! Everything that is tested from outside, in one binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod api;
mod architecture;
mod coalescing;
mod contract;
mod delay;
mod dependencies;
mod drift;
mod durability;
mod fuzz;
mod greedy;
mod held_polls;
mod hostile;
mod queue;
mod simulation;
mod support;
