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
fn bash_completes_the_options_of_commands_and_their_values() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("completions");
    fs::write(&script, stdout(&run(["completions", "bash"]))).unwrap();
    for (words, completed) in [
        (["sf-parquet", "ver", ""], "verify"),
        (["sf-parquet", "convert", "--tab"], "--tables"),
        (["sf-parquet", "completions", "zs"], "zsh"),
    ] {
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
        let of_shell = format!(
            "source {}; COMP_WORDS=({}) COMP_CWORD={}; $(complete -p sf-parquet | sed 's/.*-F //; s/ .*//') sf-parquet {last} {before}; \
             echo ${{COMPREPLY[@]}}",
            script.display(),
            words.join(" "),
            words.len() - 1
        );
        let output = std::process::Command::new("bash").args(["-c", &of_shell]).output().unwrap();
        assert_eq!(stdout(&output).trim(), completed, "{}", stderr(&output));
    }
}

#[test]
fn every_shell_completes_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&run(["completions", shell]));
        assert!(COMMANDS.iter().all(|c| script.contains(c)), "{shell}");
    }
}
