//! Plans as a person sees them: what would be written for which app, and what never is.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/plans.rs"]
mod plans;

use plans::{KEY, file, scenario};
use signoz_setup::coverage;
use signoz_setup::domain::detection::{DjangoSettings, ServerKind, StartMethod};
use signoz_setup::domain::plan::{Change, Content};
use signoz_setup::domain::{Distribution, Draft, IngestionKey, InstrumentationSet};
use signoz_setup::planner::{self, Input, requirements};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const PROJECT: &str = "/srv/shop";

fn shop() -> plans::Scenario {
    scenario(Path::new(PROJECT)).with("flask", "3.1.3")
}

fn text(scenario: &plans::Scenario, name: &str) -> String {
    let plan = scenario.plan().unwrap();
    file(&plan, name).unwrap_or_else(|| panic!("no {name} in the plan")).0
}

#[test]
fn the_steps_come_in_an_order_in_which_each_finds_what_it_needs() {
    let plan = shop().plan().unwrap();
    let files: Vec<String> = plan
        .steps
        .iter()
        .map(|step| match &step.change {
            Change::WriteFile { path, mode, .. } => format!("{mode:o} {}", path.strip_prefix(PROJECT).unwrap().display()),
            Change::InstallPackages { .. } => "install".to_owned(),
            Change::EditBlock { .. } | Change::RunCommand { .. } => panic!("{step:?}"),
        })
        .collect();
    assert_eq!(
        files,
        [
            "install",
            // Before the file that it keeps out of git.
            "644 .signoz/.gitignore",
            "600 .signoz/otel.env",
            // What the loader imports is there before the loader is.
            "644 .signoz/auto/signoz_auto.py",
            "644 .signoz/auto/sitecustomize.py",
            "644 .signoz/gunicorn.conf.py",
            "755 .signoz/run.sh",
            "644 signoz-setup.toml",
        ]
    );
    for step in &plan.steps {
        assert!(
            !step.why.is_empty() && !step.title.is_empty() && step.id.0.contains('.'),
            "{step:?}"
        );
    }
}

#[test]
fn the_same_input_gives_the_same_plan() {
    assert_eq!(shop().plan().unwrap(), shop().plan().unwrap());
}

#[test]
fn the_key_is_in_the_environment_file_alone_and_is_never_shown() {
    let plan = shop().plan().unwrap();
    assert!(!serde_json::to_string(&plan).unwrap().contains("canary") && !format!("{plan:?}").contains("canary"));
    let holding: Vec<PathBuf> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.change {
            Change::WriteFile { path, content, .. } if content.reveal().contains(KEY) => Some(path.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(holding, [Path::new(PROJECT).join(".signoz/otel.env")]);
    assert!(text(&shop(), "otel.env").contains(&format!("OTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key={}\n", Content::MASK)));
    assert!(text(&shop(), ".gitignore").lines().any(|line| line == "otel.env"));
}

#[test]
fn the_environment_file_says_everything_that_the_sdk_would_guess_wrong() {
    let file = text(&shop(), "otel.env");
    for line in [
        "OTEL_RESOURCE_ATTRIBUTES=service.name=shop",
        "OTEL_EXPORTER_OTLP_ENDPOINT=https://ingest.eu.signoz.cloud:443",
        "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
        "OTEL_TRACES_EXPORTER=otlp",
        "OTEL_METRICS_EXPORTER=none",
        "OTEL_LOGS_EXPORTER=none",
    ] {
        assert!(file.lines().any(|other| other == line), "{line} is not in\n{file}");
    }
    // What systemd, docker and the run script would read differently.
    for line in file.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.split_once('=').unwrap();
        assert!(name.chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{line}");
        assert!(value.trim() == value && !value.contains(['"', '\'', '\\', '$', ' ', '`']), "{line}");
    }
}

#[test]
fn a_key_with_a_percent_sign_reaches_the_server_as_it_is() {
    let mut scenario = shop();
    scenario.answers.key = Some(IngestionKey::parse("50%41off").unwrap());
    let plan = scenario.plan().unwrap();
    let written = plan.steps.iter().find_map(|step| match &step.change {
        Change::WriteFile { path, content, .. } if path.ends_with("otel.env") => Some(content.reveal()),
        _ => None,
    });
    assert!(written.unwrap().contains("signoz-ingestion-key=50%2541off\n"));
}

#[test]
fn without_a_key_there_is_no_header() {
    let mut scenario = shop();
    scenario.answers.key = None;
    assert!(!text(&scenario, "otel.env").contains("HEADERS"));
}

#[test]
fn flask_3_is_switched_on_in_the_run_script_and_flask_2_needs_no_switch() {
    let switch = "SIGNOZ_INSTRUMENT_BEYOND_RANGE";
    assert!(text(&shop(), "run.sh").contains(&format!("{switch}=flask\n")));
    assert!(!text(&scenario(Path::new(PROJECT)).with("flask", "2.3.3"), "run.sh").contains(switch));
}

#[test]
fn hooks_are_written_for_the_server_that_needs_them() {
    let plan = shop().plan().unwrap();
    assert!(file(&plan, "gunicorn.conf.py").is_some());
    let uvicorn = shop().started(ServerKind::Uvicorn, StartMethod::Spawn, &["uvicorn", "app:app", "--workers", "4"]);
    assert!(file(&uvicorn.plan().unwrap(), "gunicorn.conf.py").is_none());
    assert!(!text(&uvicorn, "run.sh").contains("gunicorn.conf.py"));
    // The run script takes any command: with gunicorn in the environment it has to be ready for `run.sh gunicorn …`.
    let both = shop()
        .with("gunicorn", "27.0.1")
        .started(ServerKind::Uvicorn, StartMethod::Spawn, &["uvicorn", "app:app"]);
    assert!(file(&both.plan().unwrap(), "gunicorn.conf.py").is_some() && text(&both, "run.sh").contains("gunicorn.conf.py"));
    // Slow starters are not killed by uvicorn after 5 s.
    assert!(text(&uvicorn, "run.sh").contains("UVICORN_TIMEOUT_WORKER_HEALTHCHECK=30\n"));
}

#[test]
fn django_finds_its_settings_as_the_start_command_or_manage_py_name_them() {
    let mut scenario = shop();
    scenario.detection.django_settings = Some(DjangoSettings {
        module: "shop.settings".to_owned(),
        because: Vec::new(),
    });
    assert!(text(&scenario, "run.sh").contains("DJANGO_SETTINGS_MODULE=shop.settings\nexport DJANGO_SETTINGS_MODULE\n"));
    scenario.server.variables = vec![("DJANGO_SETTINGS_MODULE".to_owned(), "shop.settings.production".to_owned())];
    let script = text(&scenario, "run.sh");
    assert!(
        script.contains("DJANGO_SETTINGS_MODULE=shop.settings.production\n") && !script.contains("=shop.settings\n"),
        "{script}"
    );
}

#[test]
fn a_masked_secret_of_the_start_command_is_not_written_as_if_it_were_the_value() {
    let mut scenario = shop();
    scenario.server.variables = vec![
        ("DATABASE_PASSWORD".to_owned(), Content::MASK.to_owned()),
        ("MODE".to_owned(), "prod".to_owned()),
    ];
    let script = text(&scenario, "run.sh");
    assert!(!script.contains("DATABASE_PASSWORD") && script.contains("MODE=prod\n"), "{script}");
}

#[test]
fn an_environment_inside_the_project_moves_with_it() {
    assert!(text(&shop(), "run.sh").contains("signoz_bin=\"$signoz_project\"/.venv/bin\n"));
    let mut outside = shop();
    outside.python.interpreter = PathBuf::from("/opt/envs/shop env/bin/python");
    outside.python.virtualenv = Some(PathBuf::from("/opt/envs/shop env"));
    assert!(text(&outside, "run.sh").contains("signoz_bin='/opt/envs/shop env/bin'\n"));
    outside.python.virtualenv = None;
    outside.python.interpreter = PathBuf::from("/usr/bin/python3");
    outside.python.kind = signoz_setup::domain::detection::EnvironmentKind::System;
    assert!(
        !text(&outside, "run.sh").contains("signoz_bin"),
        "/usr/bin must not come before /usr/local/bin"
    );
}

#[test]
fn the_answers_file_is_read_back_as_the_same_answers_without_the_key() {
    let scenario = shop();
    let written = text(&scenario, "signoz-setup.toml");
    assert!(!written.contains(KEY) && !written.contains("key ="), "{written}");
    let draft: Draft = toml_edit::de::from_str(&written).unwrap();
    assert_eq!(draft.command.as_ref(), Some(&scenario.answers.command));
    assert_eq!(draft.service_name.as_ref(), Some(&scenario.answers.service_name));
    assert_eq!(draft.region.unwrap().as_str(), "eu");
    assert_eq!((draft.key, draft.python), (None, None));
}

#[test]
fn an_answers_file_of_the_persons_own_is_left_alone_and_ours_is_kept_up_to_date() {
    let scenario = shop();
    let writes = |answers_file: Option<&str>| {
        let coverage = coverage::table(&scenario.detection.installed, InstrumentationSet::Pinned, "3.12.1");
        let plan = planner::build(&Input {
            answers_file,
            detection: &scenario.detection,
            answers: &scenario.answers,
            server: &scenario.server,
            coverage: &coverage,
            requirements: &[],
            resolution: &scenario.resolution,
            project: &scenario.project,
            python: &scenario.python,
            program: &scenario.python.interpreter,
            offline: false,
        });
        file(&plan.unwrap(), "signoz-setup.toml").is_some()
    };
    assert!(writes(None));
    assert!(!writes(Some("# the whole fleet\nregion = \"eu\"\n")));
    assert!(writes(Some(&text(&scenario, "signoz-setup.toml"))));
}

#[test]
fn a_path_that_pythonpath_cannot_hold_is_refused_before_anything_is_written() {
    let error = scenario(Path::new("/srv/a:b")).plan().unwrap_err();
    assert_eq!(error.kind.exit_code(), 3);
    assert!(
        error.to_string().contains("/srv/a:b") && error.to_string().contains("colon"),
        "{error}"
    );
}

#[test]
fn the_current_set_leaves_the_apps_logging_alone() {
    let mut scenario = shop();
    scenario.answers.instrumentation = InstrumentationSet::Current;
    assert!(text(&scenario, "otel.env").contains("OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION=false\n"));
    assert!(!text(&shop(), "otel.env").contains("LOG_AUTO"));
}

/// What an install brings must not ask for more at the next run: a second run changes nothing.
#[test]
fn the_list_is_the_same_after_its_own_install() {
    let distribution = |name: &str, version: &str, requires: &[&str]| {
        let distribution = Distribution {
            name: name.to_owned(),
            version: version.to_owned(),
            requires: requires.iter().map(|line| (*line).to_owned()).collect(),
            location: PathBuf::new(),
        };
        (name.to_owned(), distribution)
    };
    for (set, exporter, distro) in [
        (InstrumentationSet::Pinned, "1.17.0", "0.38b0"),
        (InstrumentationSet::Current, "1.44.0", "0.65b0"),
    ] {
        for app in [
            vec![("flask", "3.1.3")],
            vec![("django", "5.2.19")],
            vec![("flask", "3.1.3"), ("urllib3", "2.8.0")],
            vec![],
        ] {
            let before: BTreeMap<String, Distribution> = app.iter().map(|(name, version)| distribution(name, version, &[])).collect();
            let first = requirements(&before, set, "3.12.1");
            let mut after = before.clone();
            for requirement in &first {
                if let Some((name, version)) = requirement.text.split_once("==") {
                    after.extend([distribution(name, version, &[])]);
                }
            }
            after.extend([
                distribution("opentelemetry-api", exporter, &[]),
                distribution("opentelemetry-sdk", exporter, &[]),
                distribution("opentelemetry-exporter-otlp-proto-grpc", exporter, &["grpcio"]),
                distribution("opentelemetry-exporter-otlp-proto-http", exporter, &["requests"]),
                distribution("opentelemetry-instrumentation", distro, &[]),
                distribution("grpcio", "1.85.1", &[]),
                distribution("requests", "2.34.2", &["urllib3>=1.26,<3"]),
                distribution("protobuf", "4.25.9", &[]),
                distribution("wrapt", "1.17.3", &[]),
                distribution("setuptools", "80.9.0", &[]),
            ]);
            after.entry("urllib3".to_owned()).or_insert(distribution("urllib3", "2.8.0", &[]).1);
            let texts = |list: &[signoz_setup::domain::Requirement]| list.iter().map(|r| r.text.clone()).collect::<Vec<_>>();
            let second = requirements(&after, set, "3.12.1");
            let new: Vec<String> = texts(&second)
                .into_iter()
                .filter(|text| !after.contains_key(text.split("==").next().unwrap()) && !text.contains('<'))
                .collect();
            assert_eq!(new, Vec::<String>::new(), "{set} {app:?}: a second run would install more");
        }
    }
}
