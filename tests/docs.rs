//! README, `--help` and the code say the same.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use support::program::{Program, stdout};

/// Flags in a text: `--like-this`.
fn flags(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
        .filter(|word| {
            word.strip_prefix("--")
                .is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_flag_that_the_readme_names_exists() {
    let help = flags(&stdout(&Program::new(Path::new("/")).run(["--help"])));
    let readme = fs::read_to_string("README.md").unwrap();
    let ours: String = readme
        .lines()
        .filter(|line| line.contains("signoz-setup"))
        .collect::<Vec<_>>()
        .join("\n");
    // Other programs' flags stand on the same lines as examples of start commands.
    let theirs = ["--locked", "--workers", "--path", "--test"];
    let unknown: Vec<_> = flags(&ours)
        .into_iter()
        .filter(|flag| !help.contains(flag) && !theirs.contains(&flag.as_str()))
        .collect();
    assert!(unknown.is_empty(), "README names {unknown:?}, which --help does not know");
}

#[test]
fn exit_codes_in_the_readme_are_those_of_the_help() {
    let help = stdout(&Program::new(Path::new("/")).run(["--help"]));
    let readme = fs::read_to_string("README.md").unwrap();
    let table = readme.split("## Exit codes").nth(1).unwrap();
    for code in ["0", "1", "2", "3", "4", "130"] {
        assert!(
            help.lines().any(|line| line.split_whitespace().next() == Some(code)),
            "{code} in --help"
        );
        assert!(table.lines().any(|line| line.starts_with(&format!("| {code}"))), "{code} in README");
    }
}

#[test]
fn versions_in_the_readme_are_those_that_are_installed() {
    let pins = fs::read_to_string("assets/packages.toml").unwrap();
    let readme = fs::read_to_string("README.md").unwrap();
    for word in readme.split(|c: char| c.is_whitespace() || c == '`') {
        if let Some((_, version)) = word.split_once("==").filter(|(name, _)| name.starts_with("opentelemetry-")) {
            assert!(pins.contains(&format!("\"{version}\"")), "README names {word}");
        }
    }
}
