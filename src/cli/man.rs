//! `man`: manual pages.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use super::{Cli, Outcome, show};
use crate::error::IoContext;

/// Print the manual page, or write those of all commands to a folder
#[derive(Debug, Args)]
#[command(after_help = "Example: sf-parquet man --out ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Write sf-parquet.1 and a page for each command to this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub fn run(args: ManArgs) -> anyhow::Result<Outcome> {
    let ManArgs { out } = args;
    match out {
        Some(folder) => {
            std::fs::create_dir_all(&folder).during("create the folder", &folder)?;
            clap_mangen::generate_to(Cli::command(), &folder).during("write the pages to", &folder)?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            show(String::from_utf8_lossy(&page))?;
        }
    }
    Ok(Outcome::Whole)
}
