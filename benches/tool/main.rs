//! What runs of the whole program need beside it: a bare handler and a stand-in upstream to compare with, load at a fixed
//! rate, open connections, and a full store. `benches/run` starts it.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the time and waits for it")]

mod bare;
mod connect;
mod fill;
mod rate;
mod records;
mod upstream;
mod wire;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Cargo adds it.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum What {
    Bare(bare::Options),
    Upstream(upstream::Options),
    Rate(rate::Options),
    Connect(connect::Options),
    Fill(fill::Options),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().what {
        What::Bare(options) => bare::run(&options),
        What::Upstream(options) => upstream::run(&options),
        What::Rate(options) => rate::run(&options),
        What::Connect(options) => connect::run(&options),
        What::Fill(options) => fill::run(&options),
    }
}
