//! One start command → which server it is, how many workers it starts and how. Pure: looks at nothing but its arguments.

use super::program::program;
use super::shape::{Config, Shape, Workers, shape, value};
use super::shell::{self, Variables};
use super::text::{mask_value, mask_words, relative};
use super::wrappers::{Unwrapped, base, unwrap};
use crate::domain::detection::{Server, ServerKind, StartMethod};
use std::path::{Path, PathBuf};

/// What is known around a command.
#[derive(Default)]
pub(super) struct Context<'a> {
    /// Variables that are set where it runs, besides its own prefixes.
    pub(super) variables: Variables,
    pub(super) config: Option<&'a Config>,
}

/// Recognises a start command given as words, prefixes and wrappers included.
///
/// `directory` is where it runs. `because` is left empty: only the caller knows where the command stands.
#[must_use]
pub fn parse_command(words: &[String], directory: &Path, project: &Path) -> Server {
    parse(words, &Context::default(), directory, project)
}

/// The same, with the variables and the config file that apply.
pub(super) fn parse(words: &[String], context: &Context<'_>, directory: &Path, project: &Path) -> Server {
    let mut unwrapped = unwrap(words);
    if let Some(inner) = shell_command(&unwrapped.words, &context.variables) {
        let nested = unwrap(&inner);
        unwrapped.variables.extend(nested.variables);
        unwrapped.runner.extend(nested.runner);
        unwrapped.agents.extend(nested.agents);
        unwrapped.reloads |= nested.reloads;
        unwrapped.words = nested.words;
    }
    let mut program = self::program(&unwrapped.words);
    if program.kind == ServerKind::Unknown
        && let Some(at) = unwrapped.words.iter().position(|word| word == "--")
    {
        // `wait-for-it.sh db:5432 -- gunicorn …`: whatever waits in front, the command comes after the dashes.
        let behind = unwrap(&unwrapped.words[at + 1..]);
        let later = self::program(&behind.words);
        if later.kind != ServerKind::Unknown {
            program = later;
            unwrapped.variables.extend(behind.variables);
            unwrapped.runner.extend(behind.runner);
            unwrapped.words = behind.words;
        }
    }
    let mut variables = context.variables.clone();
    variables.extend(unwrapped.variables.iter().cloned());
    let config = config_file(program.kind, &mut unwrapped.words, program.arguments);
    let arguments = unwrapped.words.get(program.arguments..).unwrap_or_default();
    let shape = shape(program.kind, program.subcommand, arguments, &variables, context.config);
    describe(&unwrapped, program.kind, shape, config.as_deref(), directory, project)
}

fn describe(unwrapped: &Unwrapped, kind: ServerKind, shape: Shape, config: Option<&str>, directory: &Path, project: &Path) -> Server {
    let folder = if directory.is_absolute() {
        directory.to_path_buf()
    } else {
        project.join(directory)
    };
    let command: Vec<String> = unwrapped.runner.iter().chain(&unwrapped.words).cloned().collect();
    Server {
        kind,
        command: mask_words(&command),
        variables: unwrapped
            .variables
            .iter()
            .map(|(name, value)| (name.clone(), mask_value(name, value)))
            .collect(),
        workers: match shape.workers {
            Workers::Count(count) => Some(count),
            Workers::Machine => None,
        },
        worker_class: shape.worker_class,
        start: if unwrapped.reloads { StartMethod::Reload } else { shape.start },
        preload: shape.preload,
        directory: relative(&folder, project),
        config: config.map(|path| relative(&folder.join(path), project)),
        because: Vec::new(),
    }
}

/// `sh -c "…"`: the one command in it that starts a server.
fn shell_command(words: &[String], variables: &Variables) -> Option<Vec<String>> {
    let (shell, rest) = words.split_first()?;
    if !matches!(base(shell), "sh" | "bash" | "dash" | "ash" | "zsh") {
        return None;
    }
    let flag = rest.iter().position(|word| word.starts_with('-') && word.ends_with('c'))?;
    let commands = shell::commands(rest.get(flag + 1)?, variables);
    let rank = |command: &Vec<String>| match program(&unwrap(command).words).kind {
        ServerKind::Unknown => 0,
        ServerKind::Python => 1,
        _ => 2,
    };
    commands
        .into_iter()
        .filter(|command| rank(command) > 0)
        .max_by_key(|command| rank(command))
}

/// The server's config file as the command names it. A file below `.signoz` is ours: it and its flag are taken out of the command.
fn config_file(kind: ServerKind, words: &mut Vec<String>, arguments: usize) -> Option<String> {
    let names: &[&str] = match kind {
        ServerKind::Gunicorn | ServerKind::Hypercorn => &["-c", "--config"],
        ServerKind::Uwsgi => &["--ini", "--yaml"],
        _ => return None,
    };
    if kind == ServerKind::Gunicorn {
        while let Some(at) = (arguments..words.len()).find(|at| {
            let flag = names.contains(&words[*at].as_str()) && words.get(at + 1).is_some_and(|value| value.contains(".signoz/"));
            flag || (words[*at].contains(".signoz/") && value(&words[*at..=*at], names).is_some())
        }) {
            let two = names.contains(&words[at].as_str());
            words.drain(at..=at + usize::from(two));
        }
    }
    let arguments = words.get(arguments..).unwrap_or_default();
    let positional = || {
        let bare = arguments
            .iter()
            .find(|word| !word.starts_with('-') && (word.ends_with(".ini") || word.ends_with(".yaml")));
        bare.filter(|_| kind == ServerKind::Uwsgi).map(String::as_str)
    };
    let text = value(arguments, names).or_else(positional)?;
    match text.split_once(':') {
        Some(("file", path)) => Some(path.to_owned()),
        Some(("python", module)) => Some(format!("{}.py", module.replace('.', "/"))),
        _ => Some(text.to_owned()),
    }
}

/// What makes two commands the same start: the server, its folder and its own arguments, however it was reached.
pub(super) fn key(server: &Server) -> (ServerKind, PathBuf, Vec<String>) {
    let words = unwrap(&server.command).words;
    let program = program(&words);
    let from = if matches!(server.kind, ServerKind::Python | ServerKind::Unknown | ServerKind::DjangoRunserver) {
        program.arguments.saturating_sub(1)
    } else {
        program.arguments
    };
    let own = words.get(from..).unwrap_or_default();
    (
        server.kind,
        server.directory.clone(),
        own.iter().map(|word| word.trim_start_matches("./").to_owned()).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::detection::StartMethod::{Fork, Reload, Single, Spawn};

    fn server(line: &str) -> Server {
        let words = shell::words(line);
        parse_command(&words, Path::new("/p/sub"), Path::new("/p"))
    }

    #[test]
    fn every_kind_of_start_is_recognised() {
        use ServerKind as K;
        for (line, kind, start, workers) in [
            ("gunicorn app:app", K::Gunicorn, Fork, Some(1)),
            ("/venv/bin/gunicorn -w4 app:app", K::Gunicorn, Fork, Some(4)),
            ("python3.11 -u -X dev -m gunicorn --workers=3 app:app", K::Gunicorn, Fork, Some(3)),
            ("/v/bin/python /v/bin/gunicorn app:app --reload", K::Gunicorn, Fork, Some(1)),
            ("WEB_CONCURRENCY=6 gunicorn app:app", K::Gunicorn, Fork, Some(6)),
            ("GUNICORN_CMD_ARGS='-w 2' gunicorn app:app", K::Gunicorn, Fork, Some(2)),
            ("GUNICORN_CMD_ARGS='-w 2' gunicorn app:app -w 5", K::Gunicorn, Fork, Some(5)),
            ("gunicorn app:app -w '$(nproc)'", K::Gunicorn, Fork, None),
            ("uvicorn app:app", K::Uvicorn, Single, Some(1)),
            ("uvicorn app:app --workers 4", K::Uvicorn, Spawn, Some(4)),
            ("WEB_CONCURRENCY=2 uvicorn app:app", K::Uvicorn, Spawn, Some(2)),
            ("uvicorn app:app --reload --workers 4", K::Uvicorn, Reload, Some(1)),
            ("hypercorn app:app", K::Hypercorn, Spawn, Some(1)),
            ("hypercorn -w 0 app:app", K::Hypercorn, Single, Some(1)),
            ("granian --interface asgi --workers 2 app:app", K::Granian, Fork, Some(2)),
            ("uwsgi --http :80 --master -p 4 --module app", K::Uwsgi, Fork, Some(4)),
            ("uwsgi --http :80 --module app", K::Uwsgi, Single, Some(1)),
            ("daphne app.asgi:application", K::Daphne, Single, Some(1)),
            ("waitress-serve --port=80 app:app", K::Waitress, Single, Some(1)),
            ("celery -A x worker -c 3", K::Celery, Fork, Some(3)),
            ("celery -A x worker", K::Celery, Fork, None),
            ("celery worker -A x --autoscale=9,2", K::Celery, Fork, Some(9)),
            ("celery -A x worker --pool=solo", K::Celery, Single, Some(1)),
            ("celery -A x beat", K::Celery, Single, Some(1)),
            ("celery -A x flower", K::Unknown, Single, Some(1)),
            ("rq worker high low", K::Rq, Fork, Some(1)),
            ("python manage.py rqworker default", K::Rq, Fork, Some(1)),
            ("dramatiq -p 2 tasks", K::Dramatiq, Fork, Some(2)),
            ("dramatiq --use-spawn tasks", K::Dramatiq, Spawn, None),
            ("flask run", K::Flask, Single, Some(1)),
            ("flask --app x run --debug", K::Flask, Reload, Some(1)),
            ("flask --app x --debug run --no-reload", K::Flask, Single, Some(1)),
            ("FLASK_DEBUG=1 python -m flask run", K::Flask, Reload, Some(1)),
            ("FLASK_ENV=development flask run", K::Flask, Reload, Some(1)),
            ("flask db upgrade", K::Unknown, Single, Some(1)),
            ("fastapi dev main.py", K::Fastapi, Reload, Some(1)),
            ("fastapi run main.py --workers 4", K::Fastapi, Spawn, Some(4)),
            ("python manage.py runserver 0.0.0.0:80", K::DjangoRunserver, Reload, Some(1)),
            ("./manage.py runserver --noreload", K::DjangoRunserver, Single, Some(1)),
            ("django-admin runserver", K::DjangoRunserver, Reload, Some(1)),
            ("python manage.py migrate", K::Unknown, Single, Some(1)),
            ("python manage.py consume", K::Python, Single, Some(1)),
            ("python app.py", K::Python, Single, Some(1)),
            ("python -m shop", K::Python, Single, Some(1)),
            ("python -m pip install x", K::Unknown, Single, Some(1)),
            ("python -c 'print(1)'", K::Unknown, Single, Some(1)),
            ("watchmedo auto-restart -d . -- celery -A x worker", K::Celery, Reload, None),
            (
                "sh -c 'python manage.py migrate && exec gunicorn app:app -w 2'",
                K::Gunicorn,
                Fork,
                Some(2),
            ),
            ("./wait-for-it.sh db:5432 -t 9 -- gunicorn app:app", K::Gunicorn, Fork, Some(1)),
            ("nginx -g 'daemon off;'", K::Unknown, Single, Some(1)),
            ("", K::Unknown, Single, Some(1)),
        ] {
            let found = server(line);
            assert_eq!((found.kind, found.start, found.workers), (kind, start, workers), "{line}");
        }
    }

    #[test]
    fn the_command_keeps_what_chooses_the_environment_and_nothing_else_in_front() {
        for (line, command, variables) in [
            ("exec env A=b gunicorn app:app", "gunicorn app:app", 1),
            ("sudo -u www nice -n 5 gunicorn app:app", "gunicorn app:app", 0),
            ("A=b poetry run gunicorn app:app", "poetry run gunicorn app:app", 1),
            (
                "opentelemetry-instrument --traces_exporter otlp gunicorn app:app",
                "gunicorn app:app",
                0,
            ),
            ("newrelic-admin run-program gunicorn app:app", "gunicorn app:app", 0),
            ("uv run ddtrace-run python app.py", "uv run python app.py", 0),
            (".signoz/run.sh gunicorn -c .signoz/gunicorn.conf.py app:app", "gunicorn app:app", 0),
            (
                "gunicorn --config=/p/sub/.signoz/gunicorn.conf.py -c own.py app:app",
                "gunicorn -c own.py app:app",
                0,
            ),
        ] {
            let found = server(line);
            assert_eq!(
                (found.command.join(" ").as_str(), found.variables.len()),
                (command, variables),
                "{line}"
            );
        }
    }

    #[test]
    fn folders_and_configs_are_relative_to_the_project() {
        let found = server("gunicorn -c file:conf/g.py --preload -k gevent app:app");
        assert_eq!(
            (found.directory.as_path(), found.config.as_deref()),
            (Path::new("sub"), Some(Path::new("sub/conf/g.py")))
        );
        assert_eq!((found.preload, found.worker_class.as_deref()), (true, Some("gevent")));
        assert_eq!(
            server("gunicorn -c python:shop.conf a:b").config.as_deref(),
            Some(Path::new("sub/shop/conf.py"))
        );
        assert_eq!(server("gunicorn -c /etc/g.py a:b").config.as_deref(), Some(Path::new("/etc/g.py")));
        assert_eq!(server("gunicorn --threads 4 a:b").worker_class.as_deref(), Some("gthread"));
    }

    #[test]
    fn secrets_are_masked_in_words_and_variables() {
        let found = server("DB_PASSWORD=canary gunicorn a:b --env API_KEY=canary --token canary");
        assert!(!format!("{found:?}").contains("canary"), "{found:?}");
    }
}
