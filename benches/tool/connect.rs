//! Connections that stay open: idle ones, and ones with a call that is not answered yet.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::wire::Line;

/// Opens connections, says so, and keeps them until its input ends.
#[derive(Args)]
pub struct Options {
    #[arg(long)]
    to: SocketAddr,
    #[arg(long)]
    count: usize,
    /// A file with a call that each makes.
    #[arg(long)]
    call: PathBuf,
    /// Do not wait for the reply: the call is to be held.
    #[arg(long)]
    held: bool,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let call = std::fs::read(&options.call)?;
    let mut open = Vec::new();
    for _ in 0..options.count {
        let mut line = Line::open(options.to)?;
        line.send(&call)?;
        if !options.held {
            line.reply()?;
        }
        open.push(line);
    }
    println!("open");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}
