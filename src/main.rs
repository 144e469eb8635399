//! The program: reads its arguments, runs the command, and says in one line of the error output what went wrong.

use std::process::ExitCode;

use capgate::cli::Cli;
use clap::Parser;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Faults in the settings are several, one a line; everything else is one line.
            for line in format!("{error:#}").lines() {
                eprintln!("capgate: {line}");
            }
            ExitCode::FAILURE
        }
    }
}
