//! A store with many captchas, as a gateway would have left it.

use std::path::PathBuf;

use capgate::store::SqliteStore;
use clap::Args;

use crate::records;

/// Writes a store.
#[derive(Args)]
pub struct Options {
    #[arg(long)]
    store: PathBuf,
    #[arg(long)]
    captchas: u64,
    /// One in so many is solved; 0: none.
    #[arg(long, default_value_t = 0)]
    solved_one_in: u64,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    records::write(&SqliteStore::open(&options.store)?, options.captchas, options.solved_one_in)
}
