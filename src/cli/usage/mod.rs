//! `capgate usage`: who used what, and what it cost, from the store of the settings. A gateway may run on it or not.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `since` | how far back |
//! | `report` | sums, costs, and what the account's balance says |
//! | `table`, `data` | the report for people, and for programs |

mod data;
mod report;
mod since;
mod table;

use std::io::Write;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::{File, environment};
use crate::clock::Timestamp;
use crate::config::{Config, StoreUrl};
use crate::engine::captcha::LIFETIME;
use crate::store::{Day, SqliteStore};
use report::Report;

#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    file: File,
    /// How far back: 30m, 24h, 7d. Usage is kept by days in UTC, so the day in which this begins counts as a whole.
    #[arg(long, value_name = "TIME", default_value = "7d")]
    since: String,
    /// One row for each.
    #[arg(long, value_enum, default_value_t = By::Client)]
    by: By,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// What a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    Client,
    Method,
    Day,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// The rows alone.
    Csv,
    /// Everything, as one object.
    Json,
}

impl By {
    const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Method => "method",
            Self::Day => "day",
        }
    }
}

pub(super) fn run(arguments: Arguments, now: Timestamp) -> anyhow::Result<()> {
    let since = Day::of(now - since::parse(&arguments.since)?);
    let env = environment();
    let file = arguments.file.or_from(&env);
    let (url, prices) = Config::for_usage(file.as_deref(), env.into_iter())?;
    let StoreUrl::Sqlite(path) = url else {
        bail!(
            "store.url is \"memory:\": usage is kept in the gateway's memory alone, there is none to read here"
        );
    };
    let ledger = SqliteStore::read_ledger(&path, since, now - LIFETIME).context("store.url")?;
    let report = Report::new(&ledger, since, Day::of(now), arguments.by, &prices);
    let text = match arguments.format {
        Format::Table => table::write(&report),
        Format::Csv => data::csv(&report),
        Format::Json => data::json(&report)?,
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
