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

/// The table of checks in the README is the catalogue's; `UPDATE_README=1 cargo test --test docs` writes it.
#[test]
fn the_table_of_checks_is_the_catalogue() {
    const BEGIN: &str = "<!-- the checks, written by tests/docs.rs -->\n";
    const END: &str = "<!-- end of the checks -->";
    let mut table = String::from("\n| check | what should be true |\n|---|---|\n");
    for check in signoz_setup::checks::all() {
        table.push_str(&format!("| `{}` | {} |\n", check.id, check.title));
    }
    table.push('\n');
    let readme = fs::read_to_string("README.md").unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_README").is_some() {
        fs::write("README.md", format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(written, table, "run `UPDATE_README=1 cargo test --test docs`");
}
