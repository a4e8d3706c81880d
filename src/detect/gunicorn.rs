//! `gunicorn.conf.py` as settings, read and never run.

use super::shape::Config;
use super::shell::Variables;
use super::source::{Source, Value};

/// The settings that say how workers start.
pub(super) fn settings(source: &Source, variables: &Variables) -> Config {
    let workers = |name: &str| source.top(name).map(|found| found.value.workers(variables));
    Config {
        workers: workers("workers"),
        threads: workers("threads"),
        worker_class: source.top("worker_class").and_then(|found| match &found.value {
            // A class object: its own name is all that can be known.
            Value::Name(name) => Some(name.clone()),
            value => value.text(variables),
        }),
        preload: source.top("preload_app").and_then(|found| found.value.truth(variables)),
        master: None,
        application: source.top("wsgi_app").and_then(|found| found.value.text(variables)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::Workers;
    use super::*;

    #[test]
    fn settings_are_read_without_running_the_file() {
        let text = "import multiprocessing\nworkers = multiprocessing.cpu_count() * 2 + 1\nworker_class = 'uvicorn.workers.UvicornWorker'\n\
                    preload_app = True\nwsgi_app = 'shop.wsgi:application'\nraise SystemExit\n";
        let config = settings(&Source::parse(text).unwrap(), &Variables::new());
        assert_eq!(config.workers, Some(Workers::Machine));
        assert_eq!(config.worker_class.as_deref(), Some("uvicorn.workers.UvicornWorker"));
        assert_eq!(
            (config.preload, config.application.as_deref()),
            (Some(true), Some("shop.wsgi:application"))
        );
    }
}
