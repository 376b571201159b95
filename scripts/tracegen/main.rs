//! Makes the traces that tests, examples and benchmarks use: a small robot-shop experiment with the facts of the SysFlow
//! Kubernetes notebook, large traces from small ones, and seeds for the fuzz targets. The same seed gives the same bytes.

mod activity;
mod kubernetes;
mod large;
mod robot_shop;
mod schema;
mod seeds;
mod tile;
mod writer;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Make test traces
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The robot-shop experiment: three rotated trace files
    RobotShop {
        #[arg(long)]
        out: PathBuf,
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Small inputs for the fuzz targets
    FuzzSeeds {
        #[arg(long)]
        out: PathBuf,
    },
    /// The records of a trace many times over, each time later
    Tile {
        input: PathBuf,
        #[arg(long)]
        times: u64,
        /// Take only so many of the records
        #[arg(long, value_name = "N")]
        records: Option<usize>,
        /// Write so many files, each with its share of the times, into the folder OUT
        #[arg(long, value_name = "N")]
        files: Option<u64>,
        #[arg(long)]
        out: PathBuf,
    },
    /// A trace with very much of something
    Large {
        much: large::Much,
        #[arg(long)]
        count: i64,
        #[arg(long)]
        out: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::RobotShop { out, seed } => activity::robot_shop(&out, seed),
        Command::FuzzSeeds { out } => seeds::seeds(&out),
        Command::Large { much, count, out } => large::large(much, count, &out),
        Command::Tile { input, times, records, files, out } => tile::tile(&input, records, times, files, &out),
    }
}
