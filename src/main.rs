//! `sf-parquet`: parse, dispatch, exit code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use sf_parquet::cli;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse())
}
