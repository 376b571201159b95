//! `completions`: what a shell needs to complete commands and options.

use clap::{Args, CommandFactory};

use super::{Cli, Outcome, show};

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "Example: sf-parquet completions bash > ~/.local/share/bash-completion/completions/sf-parquet")]
pub struct CompletionsArgs {
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub fn run(args: CompletionsArgs) -> anyhow::Result<Outcome> {
    let CompletionsArgs { shell } = args;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sf-parquet", &mut script);
    // For bash clap_complete calls a command by two names if the program's has a hyphen (clap's issue 6421).
    let script = String::from_utf8_lossy(&script).replace("sf__subcmd__parquet", "sf__parquet");
    show(script)?;
    Ok(Outcome::Whole)
}
