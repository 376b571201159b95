//! `sf-parquet`: parse, dispatch, exit code.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use sf_parquet::cli;

/// Batches are made of many small allocations that one thread makes and another frees (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::Cli::try_parse() {
        Ok(cli) => cli::run(cli),
        Err(error) => cli::say_usage(&error),
    }
}
