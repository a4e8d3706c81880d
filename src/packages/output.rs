//! What installers print: free of control characters and credentials, and reduced to the one line that is the reason.

use crate::domain::secret::mask_addresses;
use crate::error::Error;
use crate::system::Finished;
use crate::system::commands::plain;

/// A line that may be shown: no control characters, no credentials in addresses.
pub(crate) fn clean(line: &str) -> String {
    mask_addresses(&plain(line), true)
}

/// A known trouble: what its output contains, what it is called, what to do.
struct Trouble {
    contains: &'static [&'static str],
    what: &'static str,
    remedies: &'static [&'static str],
}

const NETWORK: &[&str] = &[
    "check the network; behind a proxy set `HTTPS_PROXY`",
    "for a private index or a mirror set `PIP_INDEX_URL` (pip) or `UV_DEFAULT_INDEX` (uv)",
    "without a network, put the wheels into a folder and run with `--offline` and `PIP_FIND_LINKS=<folder>` (`UV_FIND_LINKS` for uv)",
];

/// uv's words for a package that it may not look up.
const OFFLINE: &str = "the network was disabled";

/// First match wins: pip calls an unreachable index `no matching distribution`, so the network comes first.
const TROUBLES: &[Trouble] = &[
    Trouble {
        contains: &["No space left on device", "os error 28", "Errno 28", "Disk quota exceeded"],
        what: "the disk is full",
        remedies: &["free some space on the file system of the environment and of the temporary folder (`TMPDIR`)"],
    },
    Trouble {
        contains: &["Permission denied", "Errno 13", "os error 13", "Read-only file system"],
        what: "no permission to write into the environment",
        remedies: &["run as the owner of the environment, or use one of your own: `python3 -m venv .venv`, then `--python .venv`"],
    },
    Trouble {
        contains: &["externally-managed-environment", "externally managed"],
        what: "the Python is managed by the operating system",
        remedies: &["make an environment: `python3 -m venv .venv`, install the app into it, then `--python .venv`"],
    },
    Trouble {
        contains: &[OFFLINE, "network connectivity is disabled"],
        what: "a package is neither cached nor in a local wheel folder",
        remedies: &[
            "leave `--offline` out once",
            "or point `PIP_FIND_LINKS` (pip) or `UV_FIND_LINKS` (uv) at a folder that holds the wheels",
        ],
    },
    Trouble {
        contains: &[
            "connection broken",
            "Failed to fetch",
            "Could not connect",
            "error sending request",
            "dns error",
            "Name or service not known",
            "Temporary failure in name resolution",
            "All attempts to connect",
            "Read timed out",
            "ProxyError",
            "SSLError",
            "CERTIFICATE_VERIFY_FAILED",
            "ConnectionError",
        ],
        what: "the package index cannot be reached",
        remedies: NETWORK,
    },
    Trouble {
        contains: &[
            "Requires-Python",
            "requires a different Python",
            "depend on Python",
            "Python>=",
            "requires-python",
        ],
        what: "no release fits this Python version",
        remedies: &["choose another interpreter with `--python`, or another set with `--instrumentation current`"],
    },
    Trouble {
        contains: &[
            "No matching distribution",
            "was not found in the package registry",
            "there is no version of",
        ],
        what: "the index has no matching release",
        remedies: &[
            "a private index may lack it: set `PIP_INDEX_URL` (pip) or `UV_DEFAULT_INDEX` (uv) to one that has it",
            "or choose another set with `--instrumentation current`",
        ],
    },
    Trouble {
        contains: &[
            "ResolutionImpossible",
            "conflicting dependencies",
            "unsatisfiable",
            "version solving failed",
        ],
        what: "the requirements contradict each other",
        remedies: &["see which line of the project's own requirements is named above, or use `--instrumentation current`"],
    },
    Trouble {
        contains: &["Failed building wheel", "Failed to build", "subprocess-exited-with-error"],
        what: "a package has no wheel for this platform, and building it failed",
        remedies: &["use `--protocol http/protobuf`, which needs no compiled package, or install a compiler and the Python headers"],
    },
];

/// Turns a failed call into an error of the given kind: what, the tool's own reason in one line, and a remedy.
pub(crate) fn explain(mut error: Error, tool: &str, offline: bool, finished: &Finished) -> Error {
    if finished.timed_out {
        return error
            .because(format!("`{tool}` did not end in time and was stopped"))
            .remedy("check the network and run again");
    }
    if let Some(signal) = finished.signal {
        return error
            .because(format!("`{tool}` was ended by signal {signal}"))
            .remedy("when nobody ended it, the machine may be out of memory; then run again");
    }
    let mut text = format!("{}\n{}", finished.stderr, finished.stdout);
    if offline && text.contains("(from versions: ") {
        // pip does not say that it was told to leave the index alone.
        text.push_str(OFFLINE);
    }
    let trouble = TROUBLES
        .iter()
        .find(|trouble| trouble.contains.iter().any(|part| text.contains(part)));
    let line = reason(finished);
    error.why = Some(match trouble {
        Some(trouble) if line.is_empty() => trouble.what.to_owned(),
        Some(trouble) => format!("{}: {line}", trouble.what),
        None if line.is_empty() => format!("`{tool}` ended with exit code {}", finished.code.unwrap_or(-1)),
        None => line,
    });
    for remedy in trouble.map_or(&[][..], |trouble| trouble.remedies) {
        error = error.remedy(*remedy);
    }
    error
}

/// The tool's own reason: its `cause:` line, else its last `ERROR:` line, else its last line.
fn reason(finished: &Finished) -> String {
    let lines: Vec<String> = finished
        .stderr
        .lines()
        .chain(finished.stdout.lines())
        .map(|line| clean(line).trim().to_owned())
        .filter(|line| !line.is_empty() && !line.starts_with("[notice]"))
        .collect();
    let start = |prefixes: &[&str]| {
        lines
            .iter()
            .rev()
            .find_map(|line| prefixes.iter().find_map(|prefix| line.strip_prefix(prefix)))
            .map(|line| line.trim().to_owned())
    };
    let mut text = start(&["cause:", "╰─▶"])
        .or_else(|| start(&["ERROR:", "error:", "Error:"]))
        .or_else(|| lines.last().cloned())
        .unwrap_or_default();
    if text.chars().count() > 300 {
        text = text.chars().take(299).collect();
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(stderr: &str) -> Finished {
        Finished {
            code: Some(1),
            signal: None,
            stdout: String::new(),
            stderr: stderr.to_owned(),
            timed_out: false,
        }
    }

    #[test]
    fn lines_lose_colours_and_passwords() {
        assert_eq!(
            clean("\u{1b}[31mget\u{1b}[0m https://user:se@cret@host/simple\u{7} x"),
            "get https://••••••••@host/simple x"
        );
        assert_eq!(clean("https://pypi.org/a@b"), "https://pypi.org/a@b");
    }

    #[test]
    fn pips_no_matching_distribution_after_a_broken_connection_is_the_network() {
        let error = explain(
            Error::refused("x"),
            "pip",
            false,
            &finished(
                "WARNING: Retrying after connection broken by 'ProxyError'\nERROR: No matching distribution found for rich\n[notice] new pip",
            ),
        );
        assert_eq!(
            error.why.unwrap(),
            "the package index cannot be reached: No matching distribution found for rich"
        );
        assert!(error.remedies.iter().any(|remedy| remedy.contains("HTTPS_PROXY")));
    }

    #[test]
    fn pip_without_a_network_is_told_from_a_missing_release() {
        let words = "ERROR: Could not find a version that satisfies the requirement rich==1 (from versions: none)\nERROR: No matching distribution found for rich==1";
        let why = |offline| explain(Error::refused("x"), "pip", offline, &finished(words)).why.unwrap();
        assert!(
            why(true).starts_with("a package is neither cached nor in a local wheel folder: "),
            "{}",
            why(true)
        );
        assert!(why(false).starts_with("the index has no matching release: "), "{}", why(false));
    }

    #[test]
    fn a_silent_end_names_its_code() {
        assert_eq!(
            explain(Error::refused("x"), "pip", false, &finished("")).why.unwrap(),
            "`pip` ended with exit code 1"
        );
    }
}
