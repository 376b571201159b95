//! `man` and `completions`: both know every command.

use std::fs;

use crate::support::*;

const COMMANDS: [&str; 6] = ["convert", "concat", "inspect", "repair", "verify", "schema"];

#[test]
fn there_is_a_page_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let page = stdout(&run(["man"]));
    assert!(page.starts_with(".ie") && COMMANDS.iter().all(|c| page.contains(c)), "{page}");
    let pages = folder.path().join("man1");
    expect_status(&program(["man", "--out"]).arg(&pages).output().unwrap(), 0);
    for command in COMMANDS {
        let page = fs::read_to_string(pages.join(format!("sf-parquet-{command}.1"))).unwrap();
        assert!(page.contains("Example"), "{page}");
    }
    assert!(pages.join("sf-parquet.1").exists());
}

#[test]
fn every_shell_completes_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&run(["completions", shell]));
        assert!(COMMANDS.iter().all(|c| script.contains(c)), "{shell}");
    }
}
