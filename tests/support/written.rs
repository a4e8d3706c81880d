//! What a set-up writes into a project, for tests that start apps with it.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use super::apps::App;
use super::pythons::Environment;
use std::fs;
use std::path::PathBuf;

/// Writes `.signoz` for an app; the run script's path.
pub fn run_script(app: &App, environment: &Environment, variables: &[(&str, &str)]) -> PathBuf {
    let folder = app.path().join(".signoz");
    fs::create_dir_all(folder.join("auto")).unwrap();
    let assets = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/templates/workers");
    for (from, to) in [
        ("sitecustomize.py", "auto/sitecustomize.py"),
        ("signoz_auto.py", "auto/signoz_auto.py"),
        ("gunicorn.conf.py", "gunicorn.conf.py"),
    ] {
        fs::copy(assets.join(from), folder.join(to)).unwrap();
    }
    let exports: String = variables.iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect();
    app.script(
        ".signoz/run.sh",
        &format!(
            "here=$(cd -- \"$(dirname -- \"$0\")\" && pwd)\nexport PATH=\"{}:$PATH\" PYTHONPATH=\"$here/auto\" OTEL_METRICS_EXPORTER=none OTEL_LOGS_EXPORTER=none OTEL_TRACES_EXPORTER=otlp OTEL_RESOURCE_ATTRIBUTES=service.name='matrix shop'\n{exports}case $1 in gunicorn) set -- \"$@\" -c \"$here/gunicorn.conf.py\";; uvicorn) uvicorn --help | grep -q healthcheck && set -- \"$@\" --timeout-worker-healthcheck 30;; esac\nexec \"$@\"",
            environment.bin().display()
        ),
    )
}
