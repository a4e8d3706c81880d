//! What may stand in front of a server's own command: one table, looked through from the left.
//!
//! Pure: no file, process or variable is looked at.

use super::shell::assignment;

/// What a wrapper is to the command behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Says how or as whom the process runs: left out of the command.
    Outer,
    /// Chooses the Python environment: stays in the command.
    Environment,
    /// An agent that instruments the process: left out, because the app is to start under ours.
    Agent,
    /// Restarts its child when files change.
    Reloader,
}

struct Wrapper {
    name: &'static str,
    /// The word that must follow for it to be a wrapper (`poetry run`).
    then: Option<&'static str>,
    /// Flags that take the next word.
    valued: &'static [&'static str],
    /// Words of its own that are no flags.
    positional: usize,
    role: Role,
}

const fn outer(name: &'static str, valued: &'static [&'static str], positional: usize) -> Wrapper {
    Wrapper {
        name,
        then: None,
        valued,
        positional,
        role: Role::Outer,
    }
}

const fn with(name: &'static str, then: Option<&'static str>, valued: &'static [&'static str], role: Role) -> Wrapper {
    Wrapper {
        name,
        then,
        valued,
        positional: 0,
        role,
    }
}

const UV_VALUED: &[&str] = &[
    "--with",
    "--with-requirements",
    "--with-editable",
    "--env-file",
    "-p",
    "--python",
    "--package",
    "--directory",
    "--project",
    "--group",
    "--extra",
    "--no-group",
    "--only-group",
    "--index",
    "--index-url",
    "--extra-index-url",
    "--cache-dir",
    "--config-file",
];

const OTEL: &str = "opentelemetry-instrument";

const WRAPPERS: &[Wrapper] = &[
    outer("exec", &["-a"], 0),
    outer("env", &["-u", "-C", "--unset", "--chdir"], 0),
    outer("command", &[], 0),
    outer("nohup", &[], 0),
    outer("setsid", &[], 0),
    outer("time", &["-f", "-o"], 0),
    outer("nice", &["-n", "--adjustment"], 0),
    outer("ionice", &["-c", "-n"], 0),
    outer("stdbuf", &["-i", "-o", "-e"], 0),
    outer("timeout", &["-k", "-s"], 1),
    outer(
        "sudo",
        &["-u", "-g", "-h", "-p", "-C", "-D", "-R", "-T", "-U", "--user", "--group"],
        0,
    ),
    outer("doas", &["-u", "-C"], 0),
    outer("gosu", &[], 1),
    outer("su-exec", &[], 1),
    outer("chpst", &["-u", "-U", "-e", "-n", "-l", "-L"], 0),
    outer("tini", &["-p", "-e"], 0),
    outer("dumb-init", &["-r", "--rewrite"], 0),
    outer("run.sh", &[], 0),
    with("dotenv", Some("run"), &["-f", "--file"], Role::Outer),
    with("doppler", Some("run"), &["-p", "-c", "-t", "--project", "--config"], Role::Outer),
    with("poetry", Some("run"), &["-C", "-P", "--directory", "--project"], Role::Environment),
    with("pipenv", Some("run"), &[], Role::Environment),
    with("uv", Some("run"), UV_VALUED, Role::Environment),
    with("pdm", Some("run"), &["-p", "--project", "--venv"], Role::Environment),
    with("rye", Some("run"), &[], Role::Environment),
    with("pixi", Some("run"), &["-e", "--environment", "--manifest-path"], Role::Environment),
    with(
        "conda",
        Some("run"),
        &["-n", "-p", "--name", "--prefix", "--cwd"],
        Role::Environment,
    ),
    with("mamba", Some("run"), &["-n", "-p", "--name", "--prefix"], Role::Environment),
    with("micromamba", Some("run"), &["-n", "-p", "--name", "--prefix"], Role::Environment),
    with(OTEL, None, &[], Role::Agent),
    with("ddtrace-run", None, &[], Role::Agent),
    with("newrelic-admin", Some("run-program"), &[], Role::Agent),
    with("elasticapm-run", None, &["--config"], Role::Agent),
    with("scout-apm", Some("run"), &[], Role::Agent),
    with(
        "watchmedo",
        Some("auto-restart"),
        &["-d", "-p", "-i", "--directory", "--pattern", "--patterns"],
        Role::Reloader,
    ),
];

/// A command without what stands in front of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Unwrapped {
    /// `NAME=value` prefixes, in order.
    pub(super) variables: Vec<(String, String)>,
    /// Words that choose the environment (`poetry run`), to be kept.
    pub(super) runner: Vec<String>,
    /// Agents that were in front.
    pub(super) agents: Vec<String>,
    /// Something in front restarts the command on file changes.
    pub(super) reloads: bool,
    /// The command itself, program first.
    pub(super) words: Vec<String>,
}

/// Last part of a path.
pub(super) fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// Takes prefixes and wrappers off, one after the other.
pub(super) fn unwrap(words: &[String]) -> Unwrapped {
    let mut found = Unwrapped::default();
    let mut rest = words;
    loop {
        while let Some((name, value)) = rest.first().and_then(|word| assignment(word)) {
            found.variables.push((name.to_owned(), value.to_owned()));
            rest = &rest[1..];
        }
        let Some((wrapper, length)) = rest.first().and_then(|_| wrapper(rest)) else {
            break;
        };
        match wrapper.role {
            Role::Outer => {}
            Role::Environment => found.runner.extend_from_slice(&rest[..length]),
            Role::Agent => found.agents.push(wrapper.name.to_owned()),
            Role::Reloader => found.reloads = true,
        }
        rest = &rest[length..];
    }
    found.words = rest.to_vec();
    found
}

/// The wrapper at the start, with the number of words that are its own; `None` when a command stands there.
fn wrapper(words: &[String]) -> Option<(&'static Wrapper, usize)> {
    let program = words.first()?;
    let name = base(program);
    let wrapper = WRAPPERS.iter().find(|wrapper| wrapper.name == name)?;
    // `run.sh` is ours only inside `.signoz`; any other one is the person's.
    if name == "run.sh" && !program.contains(".signoz/") {
        return None;
    }
    let mut at = 1;
    let flags = |at: &mut usize| {
        while let Some(word) = words.get(*at).filter(|word| word.starts_with('-') && word.len() > 1) {
            *at += 1;
            if word == "--" {
                break;
            }
            // Every flag of opentelemetry-instrument takes a value.
            let valued = wrapper.valued.contains(&word.as_str()) || (wrapper.name == OTEL && word.starts_with("--"));
            if valued && !word.contains('=') {
                *at += 1;
            }
        }
    };
    if let Some(then) = wrapper.then {
        flags(&mut at);
        if words.get(at).map(String::as_str) != Some(then) {
            return None;
        }
        at += 1;
    }
    flags(&mut at);
    at += wrapper.positional;
    // Nothing behind it: then it is itself the command.
    (at < words.len()).then_some((wrapper, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Unwrapped {
        unwrap(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn every_wrapper_is_looked_through() {
        for line in [
            "exec S",
            "env -u X A=b S",
            "/usr/bin/env S",
            "sudo -E -u www S",
            "nice -n 5 S",
            "time -p S",
            "timeout -k 5 60 S",
            "gosu app S",
            "tini -- S",
            "dotenv -f .env run -- S",
            "poetry -C x run S",
            "uv run --no-sync --with rich S",
            "conda run -n web S",
            "opentelemetry-instrument --traces_exporter console --service_name=x S",
            "newrelic-admin run-program S",
            "A=b exec env C=d nohup S",
            "/srv/app/.signoz/run.sh S",
            "watchmedo auto-restart -d . -- S",
        ] {
            assert_eq!(split(line).words, ["S"], "{line}");
        }
        assert_eq!(split("poetry install").words, ["poetry", "install"]);
        assert_eq!(split("./run.sh S").words, ["./run.sh", "S"]);
        assert_eq!(split("uv run --no-sync S").runner, ["uv", "run", "--no-sync"]);
        assert_eq!(split("ddtrace-run S").agents, ["ddtrace-run"]);
    }
}
