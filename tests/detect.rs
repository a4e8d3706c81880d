//! What detection says about projects, environments and machines, each with where it was seen.
#![allow(missing_docs)]

use signoz_setup::detect;
use signoz_setup::domain::Detection;
use signoz_setup::domain::detection::{EnvironmentKind, Evidence, ServerKind, StartMethod};
use signoz_setup::domain::packages::PackageTool;
use signoz_setup::system::{Cancel, RealCommands, RealFiles, System};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

/// A project, a home and a machine of its own, all in one temporary folder.
struct Scene {
    folder: TempDir,
    env: BTreeMap<String, String>,
    real_machine: bool,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("detect").tempdir().unwrap();
        for name in ["project", "home", "root/proc", "bin"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let env = BTreeMap::from([("PATH".to_owned(), folder.path().join("bin").display().to_string())]);
        Self {
            folder,
            env,
            real_machine: false,
        }
    }

    fn with(files: &[(&str, &str)]) -> Self {
        let scene = Self::new();
        for (path, content) in files {
            write(&scene.project().join(path), content);
        }
        scene
    }

    fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn detect(&self) -> Detection {
        self.detect_with(None)
    }

    fn detect_with(&self, python: Option<&Path>) -> Detection {
        static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
        let runtime = RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap());
        let cancel = Cancel::default();
        let system = System {
            env: self.env.clone(),
            root: if self.real_machine { PathBuf::from("/") } else { self.root() },
            home: Some(self.home()),
            state: self.folder.path().join("state"),
            files: Arc::new(RealFiles),
            commands: Arc::new(RealCommands::new(cancel.clone())),
            runtime: runtime.handle().clone(),
            cancel,
        };
        let before = listing(&self.project());
        let detection = detect::run(&system, &self.project(), python, &|_| {});
        assert_eq!(before, listing(&self.project()), "detection changed the project");
        detection
    }

    /// A virtual environment as files: no Python is started for it.
    fn environment(&self, at: &Path, version: &str, extra: &str, packages: &[(&str, &str)]) {
        let minor: Vec<_> = version.split('.').take(2).collect();
        let site = at.join(format!("lib/python{}/site-packages", minor.join(".")));
        fs::create_dir_all(&site).unwrap();
        fs::create_dir_all(at.join("bin")).unwrap();
        write(&at.join("pyvenv.cfg"), &format!("home = /usr/bin\nversion = {version}\n{extra}"));
        program(&at.join("bin/python3"));
        symlink("python3", at.join("bin/python")).unwrap();
        for (name, version) in packages {
            write(
                &site.join(format!("{name}-{version}.dist-info/METADATA")),
                &format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"),
            );
            if *name == "pip" {
                write(&site.join("pip/__init__.py"), "");
            }
        }
    }

    /// A process of the fake machine.
    fn process(&self, pid: u32, parent: u32, argv: &[&str], directory: &Path, variables: &[(&str, &str)]) {
        let folder = self.root().join(format!("proc/{pid}"));
        write(&folder.join("stat"), &format!("{pid} (a (b) c) S {parent} 1 1"));
        write(
            &folder.join("cmdline"),
            &argv.iter().map(|word| format!("{word}\0")).collect::<String>(),
        );
        let environ: String = variables.iter().map(|(name, value)| format!("{name}={value}\0")).collect();
        write(&folder.join("environ"), &environ);
        symlink(directory, folder.join("cwd")).unwrap();
    }
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// An executable that is no ELF file.
fn program(path: &Path) {
    write(path, "#!/bin/sh\n");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Every path below a folder with its size, so that a write would show.
fn listing(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let metadata = fs::symlink_metadata(entry.path()).unwrap();
            if metadata.is_dir() {
                open.push(entry.path());
            }
            found.push((entry.path(), metadata.len()));
        }
    }
    found.sort();
    found
}

fn sources(because: &[Evidence]) -> String {
    because
        .iter()
        .map(|evidence| evidence.source.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// A detection as lines that a table can name.
fn lines(detection: &Detection) -> Vec<String> {
    let mut lines = Vec::new();
    for server in &detection.servers {
        let start = serde_json::to_value(server.start).unwrap();
        let mut line = format!("server {} {}", server.kind.as_str(), start.as_str().unwrap());
        let _ = write!(line, " {}", server.workers.map_or("?".to_owned(), |workers| workers.to_string()));
        if let Some(class) = &server.worker_class {
            let _ = write!(line, " class={class}");
        }
        if server.preload {
            line.push_str(" preload");
        }
        if server.directory != Path::new(".") {
            let _ = write!(line, " in={}", server.directory.display());
        }
        if let Some(config) = &server.config {
            let _ = write!(line, " config={}", config.display());
        }
        for (name, value) in &server.variables {
            let _ = write!(line, " {name}={value}");
        }
        lines.push(format!("{line} `{}` <- {}", server.command.join(" "), sources(&server.because)));
    }
    for framework in &detection.frameworks {
        let version = framework.version.as_deref().unwrap_or("-");
        lines.push(format!("framework {} {version} <- {}", framework.name, sources(&framework.because)));
    }
    for hazard in &detection.hazards {
        lines.push(format!("hazard {} <- {}", hazard.id, sources(&hazard.because)));
    }
    for app in &detection.apps {
        lines.push(format!("app {} <- {}", app.directory.display(), sources(&app.because)));
    }
    if let Some(settings) = &detection.django_settings {
        lines.push(format!("django {} <- {}", settings.module, sources(&settings.because)));
    }
    for target in &detection.targets {
        let kind = serde_json::to_value(target.kind).unwrap();
        lines.push(format!("target {} <- {}", kind.as_str().unwrap(), sources(&target.because)));
    }
    lines.extend(detection.notes.iter().map(|note| format!("note {note}")));
    lines
}

/// A project and what must (or, after `!`, must not) be among the lines about it; a line may be given by its start.
struct Case {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    expected: &'static [&'static str],
}

const FLASK: &str = "from flask import Flask\napp = Flask(__name__)\n";
const MANAGE: &str = "import os, sys\ndef main():\n    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n\
                      \x20   from django.core.management import execute_from_command_line\n    execute_from_command_line(sys.argv)\n";
const WSGI: &str = "import os\nfrom django.core.wsgi import get_wsgi_application\n\
                    os.environ[\"DJANGO_SETTINGS_MODULE\"] = \"shop.settings.production\"\napplication = get_wsgi_application()\n";

const CASES: &[Case] = &[
    Case {
        name: "Procfile with a web and a queue process",
        files: &[(
            "Procfile",
            "release: python manage.py migrate\nworker: celery -A shop worker -c 8\nweb: gunicorn app:app -w 4 --preload\n",
        )],
        expected: &[
            "server gunicorn fork 4 preload `gunicorn app:app -w 4 --preload` <- Procfile:3",
            "server celery fork 8 `celery -A shop worker -c 8` <- Procfile:2",
            "!server python",
        ],
    },
    Case {
        name: "gunicorn settings come from its config, flags win",
        files: &[
            ("Procfile", "web: gunicorn app:app --workers 2\n"),
            (
                "gunicorn.conf.py",
                "import multiprocessing\nworkers = multiprocessing.cpu_count() * 2 + 1\nworker_class = 'gevent'\npreload_app = True\n",
            ),
        ],
        expected: &[
            "server gunicorn fork 2 class=gevent preload config=gunicorn.conf.py `gunicorn app:app --workers 2` <- Procfile:1, gunicorn.conf.py:2, gunicorn.conf.py:3, gunicorn.conf.py:4",
        ],
    },
    Case {
        name: "a named gunicorn config with a variable and its default",
        files: &[
            (
                "start.sh",
                "#!/bin/bash\nset -e\ncd \"$(dirname \"$0\")\"\nexport WEB_CONCURRENCY=7\nexec gunicorn -c conf/g.py shop.wsgi\n",
            ),
            ("conf/g.py", "import os\nworkers = int(os.getenv('WORKERS', '3'))\nthreads = 4\n"),
        ],
        expected: &[
            "server gunicorn fork 3 class=gthread config=conf/g.py `gunicorn -c conf/g.py shop.wsgi` <- start.sh:5, conf/g.py:2, conf/g.py:3",
        ],
    },
    Case {
        name: "WEB_CONCURRENCY and GUNICORN_CMD_ARGS",
        files: &[
            ("Procfile", "web: GUNICORN_CMD_ARGS='--preload -k gthread' gunicorn app:app\n"),
            (".env", "WEB_CONCURRENCY=5\n"),
        ],
        expected: &["server gunicorn fork 5 class=gthread preload GUNICORN_CMD_ARGS=--preload -k gthread `gunicorn app:app` <- Procfile:1"],
    },
    Case {
        name: "Dockerfile, shell form over several lines, last stage only",
        files: &[(
            "Dockerfile",
            "FROM python:3.12 AS build\nCMD [\"flask\", \"run\"]\nFROM python:3.12-slim\nENV PORT=8000\nCMD exec gunicorn app:app \\\n    # how many\n    --workers 3 -b :$PORT\n",
        )],
        expected: &[
            "server gunicorn fork 3 `gunicorn app:app --workers 3 -b :8000` <- Dockerfile:5",
            "target docker <- Dockerfile:3",
            "!server flask",
        ],
    },
    Case {
        name: "Dockerfile, ENTRYPOINT and CMD joined",
        files: &[(
            "Dockerfile",
            "FROM python\nENTRYPOINT [\"gunicorn\", \"app:app\"]\nCMD [\"--workers\", \"6\"]\n",
        )],
        expected: &["server gunicorn fork 6 `gunicorn app:app --workers 6` <- Dockerfile:3"],
    },
    Case {
        name: "Dockerfile, an entry point script and a CMD with a shell inside",
        files: &[(
            "Dockerfile",
            "FROM python\nENTRYPOINT [\"/entrypoint.sh\"]\nCMD [\"sh\", \"-c\", \"python manage.py migrate && uvicorn shop.asgi:app --workers 4\"]\n",
        )],
        expected: &[
            "server uvicorn spawn 4 `uvicorn shop.asgi:app --workers 4` <- Dockerfile:3",
            "!server python",
        ],
    },
    Case {
        name: "Dockerfile, WORKDIR below the copied context and an inherited stage",
        files: &[
            (
                "Dockerfile",
                "FROM python AS base\nWORKDIR /code\nCOPY . .\nFROM base\nWORKDIR /code/src\nCMD hypercorn main:app\n",
            ),
            ("src/main.py", "x = 1\n"),
            ("setup.py", ""),
        ],
        expected: &["server hypercorn spawn 1 in=src `hypercorn main:app` <- Dockerfile:6"],
    },
    Case {
        name: "compose commands as list, string and with environment",
        files: &[(
            "compose.yaml",
            "x-common: &common\n  restart: always\nservices:\n  web:\n    <<: *common\n    build: .\n    command: [\"flask\", \"run\", \"--debug\"]\n  api:\n    environment:\n      WEB_CONCURRENCY: 3\n    command: uvicorn api:app --port ${PORT:-9000}\n  db:\n    image: postgres\n    command: postgres -c fsync=off\n",
        )],
        expected: &[
            "server flask reload 1 `flask run --debug` <- compose.yaml:7",
            "server uvicorn spawn 3 `uvicorn api:app --port 9000` <- compose.yaml:11",
            "hazard process.reloader <- compose.yaml:7",
            "target docker <- compose.yaml:3",
            "!server unknown",
        ],
    },
    Case {
        name: "a compose file that is not YAML is noted",
        files: &[("docker-compose.yml", "services:\n  web: [\n")],
        expected: &["note `docker-compose.yml` was not understood", "!server"],
    },
    Case {
        name: "a systemd unit of the project",
        files: &[(
            "deploy/shop.service",
            "[Unit]\nDescription=x\n[Service]\nEnvironment=\"A=b c\" OTEL_TRACES_SAMPLER=always_off\nExecStart=/opt/venv/bin/gunicorn \\\n  --workers=3 \\\n  shop.wsgi:application\n",
        )],
        expected: &[
            "server gunicorn fork 3 `/opt/venv/bin/gunicorn --workers=3 shop.wsgi:application` <- deploy/shop.service:5",
            "hazard config.left-over-environment <- deploy/shop.service:4",
            "target vm <- deploy/shop.service:5, machine",
        ],
    },
    Case {
        name: "supervisor programs",
        files: &[(
            "supervisord.conf",
            "[supervisord]\nnodaemon=true\n[program:web]\ncommand=gunicorn app:app -w 3 ; the web\nenvironment=FLASK_ENV=\"production\",API_TOKEN=\"canary\"\n[program:beat]\ncommand=celery -A shop beat\n[program:cache]\ncommand=redis-server\n",
        )],
        expected: &[
            "server gunicorn fork 3 `gunicorn app:app -w 3` <- supervisord.conf:4",
            "server celery single 1 `celery -A shop beat` <- supervisord.conf:7",
            "!server unknown",
        ],
    },
    Case {
        name: "a uWSGI ini",
        files: &[(
            "uwsgi.ini",
            "[uwsgi]\nmodule = shop.wsgi:application\nmaster = true\nprocesses = 4\n",
        )],
        expected: &["server uwsgi fork 4 preload config=uwsgi.ini `uwsgi --ini uwsgi.ini` <- uwsgi.ini:2"],
    },
    Case {
        name: "poe, PDM and hatch tasks",
        files: &[(
            "pyproject.toml",
            "[project]\nname = \"shop\"\ndependencies = [\n  \"fastapi>=0.100\",\n]\n[tool.poe.tasks]\nserve = \"uvicorn shop:app --reload\"\nfmt = \"black .\"\n[tool.poe.tasks.prod]\nshell = \"cd src && gunicorn shop:app -k uvicorn.workers.UvicornWorker -w 2\"\n[tool.hatch.envs.default.scripts]\nq = [\"dramatiq tasks\"]\n",
        )],
        expected: &[
            "server uvicorn reload 1 `uvicorn shop:app --reload` <- pyproject.toml:7",
            "server gunicorn fork 2 class=uvicorn.workers.UvicornWorker in=src `gunicorn shop:app -k uvicorn.workers.UvicornWorker -w 2` <- pyproject.toml:10",
            "server dramatiq fork ? `dramatiq tasks` <- pyproject.toml:12",
            "framework fastapi - <- pyproject.toml:4",
        ],
    },
    Case {
        name: "an entry point of the package",
        files: &[
            (
                "pyproject.toml",
                "[project]\nname = \"shop\"\n[project.scripts]\nserve = \"shop.main:run\"\n",
            ),
            ("shop/__init__.py", ""),
            (
                "shop/main.py",
                "import uvicorn\ndef run():\n    uvicorn.run('shop.main:app', workers=3)\nif __name__ == '__main__':\n    run()\n",
            ),
        ],
        expected: &["server python spawn 3 `python -m shop.main` <- pyproject.toml:4, shop/main.py:3"],
    },
    Case {
        name: "Makefile targets",
        files: &[(
            "Makefile",
            "WORKERS ?= 4\nrun:\n\t@poetry run gunicorn app:app -w $(WORKERS)\ndev:\n\tFLASK_DEBUG=1 flask --app app run\ntest:\n\tpython -m pytest\n\tpython scripts/seed.py\n",
        )],
        expected: &[
            "server gunicorn fork 4 `poetry run gunicorn app:app -w 4` <- Makefile:3",
            "server flask reload 1 FLASK_DEBUG=1 `flask --app app run` <- Makefile:5",
            "!server python",
        ],
    },
    Case {
        name: "equal commands are one, the strongest source first",
        files: &[
            ("run.sh", "exec python -m gunicorn app:app -w 4\n"),
            ("Procfile", "web: gunicorn app:app -w 4\n"),
            ("Dockerfile", "FROM python\nCMD gunicorn app:app -w 4\n"),
        ],
        expected: &["server gunicorn fork 4 `gunicorn app:app -w 4` <- Procfile:1, Dockerfile:2, run.sh:1"],
    },
    Case {
        name: "python app.py with debug=True",
        files: &[(
            "app.py",
            "from flask import Flask\napp = Flask(__name__)\nif __name__ == '__main__':\n    app.run(debug=True)\n",
        )],
        expected: &[
            "server python reload 1 `python app.py` <- app.py:4",
            "hazard process.reloader <- app.py:4",
        ],
    },
    Case {
        name: "python app.py without the reloader",
        files: &[(
            "app.py",
            "from flask import Flask\nweb = Flask(__name__)\nweb.run(debug=True, use_reloader=False)\n",
        )],
        expected: &["server python single 1 `python app.py` <- app.py:3", "!hazard"],
    },
    Case {
        name: "a Flask object and gunicorn among the requirements",
        files: &[("app.py", FLASK), ("requirements.txt", "# web\nFlask==3.1.3\ngunicorn\n")],
        expected: &[
            "server gunicorn fork 1 `gunicorn app:app` <- app.py:2",
            "framework flask - <- requirements.txt:2",
        ],
    },
    Case {
        name: "a Flask object and nothing else",
        files: &[("src/app.py", FLASK)],
        expected: &["server flask single 1 in=src `flask --app app run` <- src/app.py:2"],
    },
    Case {
        name: "a FastAPI object in a package",
        files: &[
            ("shop/__init__.py", ""),
            ("shop/main.py", "from fastapi import FastAPI\napi = FastAPI(title='x')\n"),
        ],
        expected: &["server uvicorn single 1 `uvicorn shop.main:api` <- shop/main.py:2"],
    },
    Case {
        name: "Django: settings of the likeliest start",
        files: &[
            ("manage.py", MANAGE),
            ("shop/__init__.py", ""),
            ("shop/wsgi.py", WSGI),
            ("requirements.txt", "django\ngunicorn\n"),
        ],
        expected: &[
            "server gunicorn fork 1 `gunicorn shop.wsgi:application` <- shop/wsgi.py:4",
            "server django-runserver reload 1 `python manage.py runserver` <- manage.py:5",
            "django shop.settings.production <- shop/wsgi.py:3",
            "note DJANGO_SETTINGS_MODULE is shop.settings.production for the likeliest start, but also shop.settings in `manage.py:3`",
        ],
    },
    Case {
        name: "Django: a variable around the start wins over the code",
        files: &[
            ("manage.py", MANAGE),
            (
                "Procfile",
                "web: DJANGO_SETTINGS_MODULE=shop.heroku python manage.py runserver --noreload\n",
            ),
        ],
        expected: &[
            "server django-runserver single 1 DJANGO_SETTINGS_MODULE=shop.heroku `python manage.py runserver --noreload` <- Procfile:1",
            "django shop.heroku <- Procfile:1",
        ],
    },
    Case {
        name: "a monorepo",
        files: &[
            (
                "compose.yaml",
                "services:\n  api:\n    build: ./api\n    command: uvicorn main:app\n",
            ),
            ("api/requirements.txt", "fastapi\n"),
            ("api/main.py", "from fastapi import FastAPI\napp = FastAPI()\n"),
            ("jobs/pyproject.toml", "[project]\nname='jobs'\ndependencies=['celery']\n"),
            ("jobs/tasks.py", "from celery import Celery\nqueue = Celery('x')\n"),
            ("web/Procfile", "web: gunicorn site:app\n"),
            ("web/site.py", ""),
        ],
        expected: &[
            "server uvicorn single 1 in=api `uvicorn main:app` <- compose.yaml:4",
            "server gunicorn fork 1 in=web `gunicorn site:app` <- web/Procfile:1",
            "server celery fork ? in=jobs `celery -A tasks worker` <- jobs/tasks.py:2",
            "app api <- api/requirements.txt",
            "app jobs <- jobs/pyproject.toml",
            "app web <- web/Procfile:1",
        ],
    },
    Case {
        name: "one app is no monorepo",
        files: &[
            ("requirements.txt", "flask\n"),
            ("requirements/dev.txt", "pytest\n"),
            ("app.py", FLASK),
            ("docs/requirements.txt", "sphinx\n"),
        ],
        expected: &["!app"],
    },
    Case {
        name: "a hook that would double every span",
        files: &[
            ("Procfile", "web: gunicorn app:app\n"),
            (
                "gunicorn.conf.py",
                "from opentelemetry import trace\ndef start():\n    trace.set_tracer_provider(p)\n    p.add_span_processor(x)\ndef post_fork(server, worker):\n    start()\n",
            ),
        ],
        expected: &[
            "hazard process.duplicate-hook <- gunicorn.conf.py:3, gunicorn.conf.py:4",
            "!hazard process.own-provider",
        ],
    },
    Case {
        name: "a Celery hook by decorator, and a provider in the app",
        files: &[
            (
                "tasks.py",
                "@worker_process_init.connect(weak=False)\ndef begin(**kw):\n    provider.add_span_processor(y)\n",
            ),
            ("shop/tracing.py", "from opentelemetry import trace\ntrace.set_tracer_provider(z)\n"),
            ("tests/test_tracing.py", "trace.set_tracer_provider(z)\n"),
        ],
        expected: &[
            "hazard process.duplicate-hook <- tasks.py:3",
            "hazard process.own-provider <- shop/tracing.py:2",
        ],
    },
    Case {
        name: "another agent in front, and one among the requirements",
        files: &[
            ("Procfile", "web: ddtrace-run gunicorn app:app\n"),
            ("requirements.txt", "newrelic==9\nsentry-sdk[opentelemetry]\n"),
        ],
        expected: &[
            "hazard process.competing-agent <- requirements.txt:1, requirements.txt:2, Procfile:1",
            "server gunicorn fork 1 `gunicorn app:app` <- Procfile:1",
        ],
    },
    Case {
        name: "an isolated Python",
        files: &[("Procfile", "web: python -IS -m gunicorn app:app\n")],
        expected: &[
            "hazard process.isolated-python <- Procfile:1",
            "server gunicorn fork 1 `python -IS -m gunicorn app:app` <- Procfile:1",
        ],
    },
    Case {
        name: "left-over variables, from the least expected places",
        files: &[
            (".env", "export OTEL_TRACES_EXPORTER=\"none\"\n"),
            ("Procfile", "web: OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=flask gunicorn app:app\n"),
            (
                "Dockerfile",
                "FROM python\nENV OTEL_SDK_DISABLED true\nENV OTEL_TRACES_SAMPLER=parentbased_always_on\n",
            ),
        ],
        expected: &[
            "hazard config.left-over-environment <- Procfile:1",
            "hazard config.left-over-environment <- Dockerfile:2",
            "hazard config.left-over-environment <- .env:1",
            "!hazard config.left-over-environment <- Dockerfile:3",
        ],
    },
    Case {
        name: "Kubernetes manifests",
        files: &[
            ("k8s/web.yaml", "apiVersion: apps/v1\nkind: Deployment\n"),
            ("k8s/config.yaml", "apiVersion: v1\nkind: ConfigMap\n"),
            ("helm/Chart.yaml", "apiVersion: v2\nname: shop\n"),
        ],
        expected: &["target kubernetes <- helm/Chart.yaml:1, k8s/web.yaml:2"],
    },
    Case {
        name: "what an earlier run of this program wrote is not the app",
        files: &[
            ("Procfile", "web: .signoz/run.sh gunicorn -c .signoz/gunicorn.conf.py app:app\n"),
            (".signoz/run.sh", "exec gunicorn other:app\n"),
            ("compose.signoz.yaml", "services:\n  web:\n    command: flask run\n"),
            ("Dockerfile.signoz", "FROM x\nCMD flask run\n"),
        ],
        expected: &[
            "server gunicorn fork 1 `gunicorn app:app` <- Procfile:1",
            "!server flask",
            "!target docker",
        ],
    },
    Case {
        name: "ignored folders, environments and node_modules are not looked into",
        files: &[
            (".gitignore", "build/\n"),
            ("build/Procfile", "web: gunicorn ignored:app\n"),
            ("node_modules/x/Procfile", "web: gunicorn node:app\n"),
            ("somevenv/pyvenv.cfg", "home = /usr/bin\nversion = 3.11.7\n"),
            ("somevenv/Procfile", "web: gunicorn env:app\n"),
            ("a/b/Procfile", "web: gunicorn deep:app\n"),
        ],
        expected: &[
            "server gunicorn fork 1 in=a/b `gunicorn deep:app` <- a/b/Procfile:1",
            "!server gunicorn fork 1 in=build",
            "!server gunicorn fork 1 in=node",
            "!server gunicorn fork 1 in=somevenv",
        ],
    },
    Case {
        name: "secrets and escapes stay out of every fact",
        files: &[
            (
                "Procfile",
                "web: DB_PASSWORD=canary1 API_KEY='canary 2' gunicorn --env SECRET_TOKEN=canary3 app:app # \u{1b}[31m\u{7}\nworker: celery -A x -b redis://u:canary4@h/0 worker\n",
            ),
            (
                ".env",
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS=signoz-ingestion-key=canary5\nMY_SECRET=canary6\n",
            ),
            ("run.sh", "gunicorn b:app --certfile $MY_SECRET --password canary7\n"),
            (
                "compose.yaml",
                "services:\n  w:\n    environment:\n      MY_TOKEN: canary8\n    command: uvicorn x:app --header $MY_TOKEN\n",
            ),
        ],
        expected: &[
            "server gunicorn fork 1 DB_PASSWORD=•••• API_KEY=•••• `gunicorn --env SECRET_TOKEN=•••• app:app` <- Procfile:1",
            "server celery fork ? `celery -A x -b redis://u:••••@h/0 worker` <- Procfile:2",
            "hazard config.left-over-environment <- .env:1",
            "!canary",
        ],
    },
    Case {
        name: "an empty folder",
        files: &[],
        expected: &["target vm <- machine", "!server", "!note", "!framework", "!hazard", "!app"],
    },
];

#[test]
fn every_project_of_the_table_is_understood() {
    let mut wrong = String::new();
    for case in CASES {
        let detection = Scene::with(case.files).detect();
        let found = lines(&detection);
        let json = serde_json::to_string(&detection).unwrap();
        if json.contains("canary") || json.contains("\\u001b") || json.contains("\\u0007") {
            let _ = writeln!(wrong, "{}: a secret or an escape in {json}", case.name);
        }
        for expected in case.expected {
            let (must, start) = expected.strip_prefix('!').map_or((true, *expected), |start| (false, start));
            if found.iter().any(|line| line.starts_with(start)) != must {
                let _ = writeln!(
                    wrong,
                    "{}\n  {}: {start}\n  found:\n    {}",
                    case.name,
                    if must { "missing" } else { "unwanted" },
                    found.join("\n    ")
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(CASES.len() >= 25);
}

/// Interpreters of the machine, oldest first.
fn pythons() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    if let Some(home) = std::env::var_os("HOME") {
        let versions = Path::new(&home).join(".pyenv/versions");
        found.extend(
            fs::read_dir(versions)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path().join("bin/python3")),
        );
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    for folder in std::env::split_paths(&path) {
        found.extend((8..15).map(|minor| folder.join(format!("python3.{minor}"))));
        found.push(folder.join("python3"));
    }
    let mut working: Vec<((u32, u32), PathBuf)> = found
        .into_iter()
        .filter(|path| path.is_file())
        .filter_map(|path| {
            let output = Command::new(&path)
                .args(["-c", "import sys; print(*sys.version_info[:2])"])
                .output()
                .ok()?;
            let text = String::from_utf8(output.stdout).ok()?;
            let (major, minor) = text.trim().split_once(' ')?;
            Some(((major.parse().ok()?, minor.parse().ok()?), path))
        })
        .collect();
    working.sort();
    working.dedup_by_key(|(version, _)| *version);
    working.into_iter().map(|(_, path)| path).collect()
}

/// A Python that today's tools run on.
fn recent_python() -> PathBuf {
    let found = pythons();
    let wanted = found.iter().find(|path| version_of(path).starts_with("3.11")).or(found.last());
    wanted.expect("a Python is needed").clone()
}

fn version_of(python: &Path) -> String {
    let output = Command::new(python)
        .args(["-c", "import platform; print(platform.python_version())"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn run(program: &Path, arguments: &[&str], directory: &Path, variables: &[(&str, &str)]) {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(directory)
        .envs(variables.iter().copied())
        .env_remove("VIRTUAL_ENV");
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{} {arguments:?}\n{}{}",
        program.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The `bin` folder of an environment with uv, poetry, PDM, pipenv and gunicorn; made once for each target folder.
fn tools() -> &'static Path {
    static TOOLS: OnceLock<PathBuf> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("detect-tools");
        let done = root.join("complete");
        if !done.exists() {
            let _ = fs::remove_dir_all(&root);
            fs::create_dir_all(&root).unwrap();
            let here = root.as_path();
            run(&recent_python(), &["-m", "venv", "env"], here, &[]);
            let packages = [
                "install",
                "-q",
                "--disable-pip-version-check",
                "uv",
                "poetry",
                "pdm",
                "pipenv",
                "gunicorn",
            ];
            run(&here.join("env/bin/pip"), &packages, here, &[]);
            fs::write(done, "").unwrap();
        }
        root.join("env/bin")
    })
}

#[test]
fn a_real_virtual_environment_is_read_without_starting_python() {
    let with_pip = recent_python();
    for python in pythons() {
        let version = version_of(&python);
        let supported = !version.starts_with("3.6");
        let scene = Scene::with(&[("requirements.txt", "flask\n")]);
        let pip = python == with_pip;
        let arguments = ["-m", "venv", ".venv", "--without-pip"];
        run(&python, &arguments[..if pip { 3 } else { 4 }], &scene.project(), &[]);
        let found = scene.detect().python.unwrap();
        assert_eq!(found.version, version);
        assert_eq!(found.virtualenv, Some(scene.project().join(".venv")));
        assert_eq!(found.interpreter, scene.project().join(".venv/bin/python"));
        let tool = if pip { PackageTool::Pip } else { PackageTool::Uv };
        assert_eq!(
            (found.kind, found.package_manager, found.has_pip),
            (EnvironmentKind::Venv, tool, pip)
        );
        assert!(found.because[0].source.ends_with(".venv/pyvenv.cfg"), "{:?}", found.because);
        assert_eq!(found.broken.is_none(), supported, "{version}: {:?}", found.broken);
        assert!(found.site_packages[0].is_dir());
    }
}

#[test]
fn uv_environments_have_no_pip_and_belong_to_uv_only_with_its_lock() {
    let scene = Scene::with(&[("requirements.txt", "flask\n")]);
    let python = recent_python();
    run(
        &tools().join("uv"),
        &["venv", "-q", "--offline", "--python", python.to_str().unwrap(), ".venv"],
        &scene.project(),
        &[],
    );
    let found = scene.detect().python.unwrap();
    assert_eq!(
        (found.kind, found.package_manager, found.has_pip),
        (EnvironmentKind::Uv, PackageTool::Uv, false)
    );
    assert_eq!(found.version, version_of(&python));
    write(&scene.project().join("uv.lock"), "version = 1\n");
    let found = scene.detect().python.unwrap();
    assert_eq!(found.package_manager, PackageTool::UvProject);
    assert!(found.because.iter().any(|because| because.source.ends_with("uv.lock")));
    // With another folder set for it, `.venv` is not the one that `uv add` would fill.
    fs::rename(scene.project().join(".venv"), scene.project().join("venv")).unwrap();
    assert_eq!(scene.detect().python.unwrap().package_manager, PackageTool::Uv);
    let scene = scene.set("UV_PROJECT_ENVIRONMENT", "venv");
    assert_eq!(scene.detect().python.unwrap().package_manager, PackageTool::UvProject);
}

#[test]
fn poetry_environments_are_found_in_the_project_and_in_its_cache() {
    let project = "[project]\nname = \"My_Shop\"\nversion = \"0.1\"\nrequires-python = \">=3.8\"\n[tool.poetry]\npackage-mode = false\n";
    let python = recent_python();
    for in_project in ["true", "false"] {
        let scene = Scene::with(&[("pyproject.toml", project)]);
        let home = scene.home();
        let cache = home.join(".cache/pypoetry");
        let variables = [
            ("POETRY_VIRTUALENVS_IN_PROJECT", in_project),
            ("POETRY_CACHE_DIR", cache.to_str().unwrap()),
            ("HOME", home.to_str().unwrap()),
        ];
        run(
            &tools().join("poetry"),
            &["-n", "env", "use", python.to_str().unwrap()],
            &scene.project(),
            &variables,
        );
        let found = scene.detect().python.unwrap();
        assert_eq!(
            (found.kind, found.package_manager),
            (EnvironmentKind::Poetry, PackageTool::Poetry),
            "{found:?}"
        );
        let root = found.virtualenv.unwrap();
        assert_eq!(root.starts_with(&cache), in_project == "false", "{}", root.display());
        assert!(found.because.iter().any(|because| because.source.ends_with("pyproject.toml")));
        // The same lock says nothing about an environment that poetry would not use.
        scene.environment(&scene.project().join("other"), "3.11.7", "", &[("pip", "24.0")]);
        let told = scene.detect_with(Some(&scene.project().join("other"))).python.unwrap();
        assert_eq!(told.package_manager, PackageTool::Pip);
    }
}

#[test]
fn pipenv_and_pdm_environments_are_found() {
    let python = recent_python();
    let scene = Scene::with(&[("Pipfile", "[packages]\nflask = \"*\"\n")]);
    let home = scene.home();
    let variables = [("HOME", home.to_str().unwrap()), ("PIPENV_YES", "1"), ("PIPENV_NOSPIN", "1")];
    run(
        &tools().join("pipenv"),
        &["--python", python.to_str().unwrap()],
        &scene.project(),
        &variables,
    );
    let found = scene.detect().python.unwrap();
    assert_eq!(
        (found.kind, found.package_manager),
        (EnvironmentKind::Pipenv, PackageTool::Pipenv),
        "{found:?}"
    );
    assert!(found.virtualenv.unwrap().starts_with(home.join(".local/share/virtualenvs")));

    let scene = Scene::with(&[(
        "pyproject.toml",
        "[project]\nname = \"x\"\nversion = \"1\"\nrequires-python = \">=3.8\"\n[tool.pdm]\n",
    )]);
    let home = scene.home();
    run(
        &tools().join("pdm"),
        &["-q", "use", "-f", python.to_str().unwrap()],
        &scene.project(),
        &[("HOME", home.to_str().unwrap()), ("PDM_NON_INTERACTIVE", "1")],
    );
    let found = scene.detect().python.unwrap();
    assert_eq!(found.package_manager, PackageTool::Pdm, "{found:?}");
}

#[test]
fn a_conda_prefix_is_its_own_kind_and_base_is_no_choice() {
    let scene = Scene::with(&[("environment.yml", "name: shop\ndependencies:\n  - conda-forge::flask=3\n")]);
    let prefix = scene.home().join("conda/envs/shop");
    let site = prefix.join("lib/python3.10/site-packages");
    write(&prefix.join("conda-meta/python-3.10.13-h955ad1f_0.json"), "{}");
    write(&site.join("Flask-3.0.0.dist-info/METADATA"), "Name: Flask\nVersion: 3.0.0\n\n");
    write(&site.join("pip/__init__.py"), "");
    program(&prefix.join("bin/python"));
    write(&scene.home().join(".conda/environments.txt"), &format!("{}\n", prefix.display()));
    let base = scene.home().join("conda");
    write(&base.join("conda-meta/history"), "");
    fs::create_dir_all(base.join("lib/python3.12/site-packages")).unwrap();
    program(&base.join("bin/python"));
    let scene = scene
        .set("CONDA_PREFIX", base.display().to_string())
        .set("CONDA_DEFAULT_ENV", "base");
    let detection = scene.detect();
    let found = detection.python.as_ref().unwrap();
    assert_eq!((found.kind, found.package_manager), (EnvironmentKind::Conda, PackageTool::Conda));
    assert_eq!((found.version.as_str(), found.broken.as_deref()), ("3.10.13", None));
    assert_eq!(sources(&found.because), "environment.yml:1");
    assert_eq!(detection.python_candidates.len(), 1);
    assert!(
        lines(&detection)
            .iter()
            .any(|line| line.starts_with("framework flask 3.0.0 <- ") && line.ends_with("METADATA") || line.contains("dist-info"))
    );
}

#[test]
fn two_candidates_are_both_reported_with_their_evidence() {
    let scene = Scene::with(&[("app.py", FLASK), ("Procfile", "web: venv/bin/gunicorn app:app\n")]);
    let flask = [("Flask", "3.1.3"), ("pip", "24.0")];
    scene.environment(&scene.project().join(".venv"), "3.12.1", "", &[("pip", "24.0")]);
    scene.environment(&scene.project().join("venv"), "3.11.7", "", &flask);
    let elsewhere = scene.folder.path().join("elsewhere");
    scene.environment(&elsewhere, "3.10.13", "", &[]);
    let scene = scene.set("VIRTUAL_ENV", elsewhere.display().to_string());
    let detection = scene.detect();
    let found = detection.python.as_ref().unwrap();
    assert_eq!(found.virtualenv, Some(scene.project().join("venv")), "a start command names it");
    assert!(sources(&found.because).starts_with("Procfile:1"), "{:?}", found.because);
    let others: Vec<_> = detection
        .python_candidates
        .iter()
        .map(|other| (other.version.as_str(), sources(&other.because)))
        .collect();
    assert_eq!(others[0], ("3.10.13", "VIRTUAL_ENV".to_owned()));
    assert_eq!(others[1].0, "3.12.1");
    assert_eq!(others.len(), 2);
    assert_eq!(detection.frameworks[0].version.as_deref(), Some("3.1.3"));
    assert_eq!(
        detection.frameworks[0].because[0].source,
        "venv/lib/python3.11/site-packages/Flask-3.1.3.dist-info"
    );
    let told = scene.detect_with(Some(Path::new(".venv"))).python.unwrap();
    assert_eq!(
        (told.version.as_str(), sources(&told.because).starts_with("--python")),
        ("3.12.1", true)
    );
    let told = scene.detect_with(Some(&scene.project().join(".venv/bin/python3"))).python.unwrap();
    assert_eq!(told.interpreter, scene.project().join(".venv/bin/python3"));
    let detection = scene.detect_with(Some(Path::new("nowhere")));
    assert!(
        detection
            .notes
            .iter()
            .any(|note| note.contains("--python") && note.contains("nowhere")),
        "{:?}",
        detection.notes
    );
}

#[test]
fn broken_environments_say_why() {
    type Damage = fn(&Path);
    let table: &[(&str, Damage, &str)] = &[
        (
            "dangling link",
            |root| {
                fs::remove_file(root.join("bin/python3")).unwrap();
                symlink("/gone/python3.11", root.join("bin/python3")).unwrap();
            },
            "which does not exist",
        ),
        (
            "no interpreter",
            |root| fs::remove_dir_all(root.join("bin")).unwrap(),
            "no `bin/python`",
        ),
        (
            "no packages",
            |root| fs::remove_dir_all(root.join("lib")).unwrap(),
            "no `site-packages`",
        ),
        (
            "foreign processor",
            |root| {
                let mut head = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0];
                head[18] = if cfg!(target_arch = "aarch64") { 62 } else { 183 };
                fs::write(root.join("bin/python3"), head).unwrap();
            },
            "its interpreter was built for",
        ),
        (
            "not executable",
            |root| fs::set_permissions(root.join("bin/python3"), fs::Permissions::from_mode(0o644)).unwrap(),
            "not an executable file",
        ),
        (
            "Python 2",
            |root| {
                fs::write(root.join("pyvenv.cfg"), "version = 2.7.18\n").unwrap();
                fs::rename(root.join("lib/python3.11"), root.join("lib/python2.7")).unwrap();
            },
            "older than 3.7",
        ),
        (
            "Python 3.6",
            |root| fs::write(root.join("pyvenv.cfg"), "version = 3.6.15\n").unwrap(),
            "older than 3.7",
        ),
        (
            "upgraded below it",
            |root| {
                program(&root.join("real/python3.13"));
                fs::remove_file(root.join("bin/python3")).unwrap();
                symlink(root.join("real/python3.13"), root.join("bin/python3")).unwrap();
            },
            "made for Python 3.11, but its interpreter is now Python 3.13",
        ),
    ];
    for (name, damage, says) in table {
        let scene = Scene::with(&[("app.py", FLASK)]);
        let root = scene.project().join(".venv");
        scene.environment(&root, "3.11.7", "", &[("pip", "24.0")]);
        damage(&root);
        let found = scene.detect().python.unwrap();
        assert!(
            found.broken.as_deref().is_some_and(|why| why.contains(says)),
            "{name}: {:?}",
            found.broken
        );
        // A whole one beside it is preferred, and the broken one is still told.
        scene.environment(&scene.project().join("venv"), "3.11.7", "", &[("pip", "24.0")]);
        let detection = scene.detect();
        assert_eq!(detection.python.unwrap().broken, None, "{name}");
        assert!(detection.python_candidates[0].broken.is_some(), "{name}");
        // Unless the person asks for it by name.
        assert!(scene.detect_with(Some(&root)).python.unwrap().broken.is_some(), "{name}");
    }
}

#[test]
fn the_machines_python_is_taken_when_nothing_else_is_there() {
    let scene = Scene::with(&[("app.py", FLASK)]);
    let prefix = scene.folder.path().join("usr");
    program(&prefix.join("bin/python3.11"));
    symlink("python3.11", prefix.join("bin/python3")).unwrap();
    write(&prefix.join("lib/python3.11/EXTERNALLY-MANAGED"), "[externally-managed]\n");
    write(
        &prefix.join("lib/python3/dist-packages/Flask-2.2.2.egg-info/PKG-INFO"),
        "Name: Flask\nVersion: 2.2.2\n\n",
    );
    write(
        &prefix.join("include/python3.11/patchlevel.h"),
        "#define PY_VERSION              \"3.11.2+\"\n",
    );
    let scene = scene.set("PATH", prefix.join("bin").display().to_string());
    let detection = scene.detect();
    let found = detection.python.as_ref().unwrap();
    assert_eq!(
        (found.kind, found.externally_managed, found.has_pip),
        (EnvironmentKind::System, true, false)
    );
    assert_eq!(
        (found.version.as_str(), found.virtualenv.as_ref(), sources(&found.because).as_str()),
        ("3.11.2", None, "PATH")
    );
    assert_eq!(detection.frameworks[0].version.as_deref(), Some("2.2.2"));
    // It is no rival to an environment.
    scene.environment(&scene.project().join(".venv"), "3.12.1", "", &[]);
    let detection = scene.detect();
    assert_eq!(
        (detection.python.unwrap().version.as_str(), detection.python_candidates.len()),
        ("3.12.1", 0)
    );
}

#[test]
fn nothing_at_all_gives_no_python_and_no_failure() {
    let detection = Scene::new().detect();
    assert_eq!((detection.python, detection.python_candidates.len()), (None, 0));
}

#[test]
fn a_python_that_only_running_it_can_name_is_asked_for_a_short_time() {
    let scene = Scene::new();
    let silent = scene.folder.path().join("bin/python3");
    write(&silent, "#!/bin/sh\nexec sleep 1000\n");
    fs::set_permissions(&silent, fs::Permissions::from_mode(0o755)).unwrap();
    let began = std::time::Instant::now();
    let scene = scene.set("PATH", format!("{}:/usr/bin:/bin", scene_bin(&silent)));
    assert_eq!(scene.detect().python.unwrap().version, "");
    assert!(began.elapsed() < std::time::Duration::from_secs(30));
    write(&silent, "#!/bin/sh\necho 3.12.4\n");
    assert_eq!(scene.detect().python.unwrap().version, "3.12.4");
}

fn scene_bin(program: &Path) -> String {
    program.parent().unwrap().display().to_string()
}

#[test]
fn pyenv_and_pypackages() {
    let scene = Scene::with(&[(".python-version", "3.12.4\n"), ("app.py", FLASK)]);
    let versions = scene.home().join(".pyenv/versions");
    program(&versions.join("3.12.4/bin/python3.12"));
    symlink("python3.12", versions.join("3.12.4/bin/python3")).unwrap();
    fs::create_dir_all(versions.join("3.12.4/lib/python3.12/site-packages")).unwrap();
    let found = scene.detect().python.unwrap();
    assert_eq!((found.version.as_str(), found.kind), ("3.12.4", EnvironmentKind::System));
    assert!(found.because[0].source.ends_with(".python-version"));
    fs::create_dir_all(scene.project().join("__pypackages__/3.12/lib/flask")).unwrap();
    let found = scene.detect().python.unwrap();
    assert_eq!((found.kind, found.package_manager), (EnvironmentKind::Pdm, PackageTool::Pdm));
    assert_eq!(found.site_packages, [scene.project().join("__pypackages__/3.12/lib")]);
    // A pyenv-virtualenv of that name is an environment.
    write(&scene.project().join(".python-version"), "shop\n");
    scene.environment(&versions.join("shop"), "3.11.7", "", &[]);
    assert_eq!(scene.detect().python.unwrap().virtualenv, Some(versions.join("shop")));
}

#[test]
fn running_processes_come_first_and_workers_are_counted_not_listed() {
    let scene = Scene::with(&[
        ("app.py", FLASK),
        ("Procfile", "web: gunicorn app:app --workers 2\n"),
        ("main.py", "import uvicorn\nuvicorn.run('x:y')\n"),
    ]);
    let (project, env) = (scene.project(), scene.folder.path().join("env"));
    scene.environment(&env, "3.11.7", "", &[]);
    let python = env.join("bin/python").display().to_string();
    let gunicorn = env.join("bin/gunicorn").display().to_string();
    let other = scene.home();
    scene.process(1, 0, &["init"], &other, &[]);
    let argv = [python.as_str(), &gunicorn, "app:app", "--workers", "2"];
    for (pid, parent) in [(10, 1), (11, 10), (12, 10)] {
        scene.process(
            pid,
            parent,
            &argv,
            &project,
            &[("OTEL_TRACES_SAMPLER", "always_off"), ("SECRET", "canary")],
        );
    }
    scene.process(
        20,
        1,
        &[&python, &env.join("bin/uvicorn").display().to_string(), "x:y", "--workers", "3"],
        &project,
        &[],
    );
    scene.process(
        21,
        20,
        &[
            &python,
            "-c",
            "from multiprocessing.spawn import spawn_main; spawn_main()",
            "--multiprocessing-fork",
        ],
        &project,
        &[],
    );
    scene.process(30, 1, &["gunicorn: master [shop.wsgi]"], &project, &[]);
    scene.process(31, 30, &["gunicorn: worker [shop.wsgi]"], &project, &[]);
    scene.process(
        40,
        1,
        &["[celeryd: celery@host:MainProcess] -active- (-A shop worker -c 2)"],
        &project,
        &[],
    );
    // Neighbours that are not the app: another folder, a tool, a shell in front, another person's script.
    scene.process(50, 1, &argv, &other, &[]);
    scene.process(51, 1, &[&python, "-m", "pytest"], &project, &[]);
    scene.process(52, 1, &["sh", "-c", "gunicorn app:app"], &project, &[]);
    scene.process(53, 1, &["python3", "/opt/editor/language_server.py"], &project, &[]);
    scene.process(
        54,
        1,
        &["python", "main.py"],
        &project,
        &[("PATH", env.join("bin").to_str().unwrap())],
    );
    let detection = scene.detect();
    let found = lines(&detection);
    for expected in [
        &format!("server gunicorn fork 2 `{gunicorn} app:app --workers 2` <- pid 10, Procfile:1"),
        "server uvicorn spawn 3",
        "server gunicorn fork 1 `gunicorn shop.wsgi --workers 1` <- pid 30",
        "server celery fork 2 `celery -A shop worker -c 2` <- pid 40",
        "server python single 1 `python main.py` <- pid 54, main.py:2",
        "hazard config.left-over-environment <- pid 10",
    ] {
        assert!(
            found.iter().any(|line| line.starts_with(expected)),
            "{expected}\n{}",
            found.join("\n")
        );
    }
    assert_eq!(detection.servers.len(), 5, "{}", found.join("\n"));
    let fact = &detection.servers[0].because[0].fact;
    assert!(fact.ends_with("(2 child processes)"), "{fact}");
    let python = detection.python.unwrap();
    assert_eq!(python.virtualenv, Some(env));
    assert!(sources(&python.because).contains("pid 10"));
}

#[test]
fn a_real_gunicorn_is_found_by_its_process() {
    let mut scene = Scene::with(&[("app.py", "def app(environ, start):\n    start('200 OK', [])\n    return [b'ok']\n")]);
    scene.real_machine = true;
    let mut command = Command::new(tools().join("gunicorn"));
    command
        .args(["app:app", "--workers", "2", "--bind", "127.0.0.1:0", "--preload"])
        .current_dir(scene.project())
        .env("HOME", scene.home())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Gunicorn says on standard error when each worker has started.
    let log = std::io::BufReader::new(child.stderr.take().unwrap());
    let booted = std::io::BufRead::lines(log)
        .map_while(Result::ok)
        .filter(|line| line.contains("Booting worker"))
        .take(2)
        .count();
    let detection = scene.detect();
    child.kill().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    assert_eq!(booted, 2);
    let server = &detection.servers[0];
    assert_eq!(
        (server.kind, server.start, server.workers, server.preload),
        (ServerKind::Gunicorn, StartMethod::Fork, Some(2), true)
    );
    assert_eq!(server.because[0].source, format!("pid {pid}"));
    assert!(
        server.because[0].fact.ends_with("(2 child processes)"),
        "{}",
        server.because[0].fact
    );
    assert_eq!(server.command[1..3], ["app:app", "--workers"]);
    assert_eq!(detection.servers.len(), 1);
    let python = detection.python.unwrap();
    assert_eq!(python.virtualenv.as_deref(), tools().parent());
    assert!(detection.installed.contains_key("gunicorn"));
}

#[test]
fn units_and_supervisor_of_the_machine_count_when_they_point_here() {
    let scene = Scene::with(&[("app.py", "")]);
    let project = scene.project().display().to_string();
    let unit = scene.root().join("etc/systemd/system/shop.service");
    write(
        &unit,
        &format!("[Service]\nWorkingDirectory={project}\nExecStart=/usr/bin/gunicorn app:app\n"),
    );
    write(
        &unit.with_file_name("shop.service.d/10-workers.conf"),
        "[Service]\nExecStart=\nExecStart=/usr/bin/gunicorn app:app -w 9\n",
    );
    write(
        &unit.with_file_name("other.service"),
        "[Service]\nWorkingDirectory=/srv/other\nExecStart=/usr/bin/gunicorn other:app\n",
    );
    let conf = scene.root().join("etc/supervisor/conf.d/jobs.conf");
    write(
        &conf,
        &format!("[program:jobs]\ndirectory={project}\ncommand=rq worker\n[program:x]\ncommand=gunicorn alien:app\n"),
    );
    let found = lines(&scene.detect());
    let servers: Vec<_> = found.iter().filter(|line| line.starts_with("server")).collect();
    assert_eq!(
        servers,
        [
            "server gunicorn fork 9 `/usr/bin/gunicorn app:app -w 9` <- /etc/systemd/system/shop.service.d/10-workers.conf:3",
            "server rq fork 1 `rq worker` <- /etc/supervisor/conf.d/jobs.conf:3",
        ]
    );
}

#[test]
fn marks_of_containers_clusters_and_the_host() {
    let scene = Scene::new();
    write(&scene.root().join("proc/1/comm"), "systemd\n");
    write(&scene.root().join("lib/ld-musl-x86_64.so.1"), "");
    let detection = scene.detect();
    assert_eq!(detection.host.init.as_deref(), Some("systemd"));
    assert_eq!(
        detection.host.libc.as_deref(),
        if cfg!(target_os = "linux") { Some("musl") } else { None }
    );
    assert!(detection.targets[0].because[0].fact.contains("systemd is PID 1"));
    assert!(detection.containers.is_empty() && detection.kubernetes.is_empty());

    write(&scene.root().join(".dockerenv"), "");
    write(&scene.root().join("proc/1/cgroup"), "0::/\n1:name=systemd:/kubepods/pod1\n");
    let detection = scene.detect();
    assert_eq!(sources(&detection.containers), "/.dockerenv, /proc/1/cgroup:2");
    assert!(
        lines(&detection)
            .iter()
            .any(|line| line.starts_with("target docker <- /.dockerenv"))
    );

    let scene = scene
        .set("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        .set("HTTPS_PROXY", "http://u:canary@proxy");
    fs::create_dir_all(scene.root().join("var/run/secrets/kubernetes.io/serviceaccount")).unwrap();
    let detection = scene.detect();
    assert!(
        lines(&detection)
            .iter()
            .any(|line| line.starts_with("target kubernetes <- KUBERNETES_SERVICE_HOST"))
    );
    assert_eq!(serde_json::to_value(detection.targets[0].kind).unwrap(), "kubernetes");
    assert_eq!(detection.host.proxies, ["HTTPS_PROXY"]);
    assert!(!serde_json::to_string(&detection).unwrap().contains("canary"));
}

#[test]
fn another_persons_home_under_sudo_is_told() {
    let scene = Scene::new().set("SUDO_USER", "ann").set("HOME", "/home/ann");
    let uid = rustix::process::geteuid().as_raw();
    write(
        &scene.root().join("etc/passwd"),
        &format!("x:x:4000000:1::/x:/bin/sh\nme:x:{uid}:0:me:/its/home:/bin/sh\n"),
    );
    assert_eq!(
        scene.detect().host.foreign_home,
        Some((PathBuf::from("/home/ann"), PathBuf::from("/its/home")))
    );
    let scene = scene.set("HOME", "/its/home/");
    assert_eq!(scene.detect().host.foreign_home, None);
}

#[test]
fn loops_pipes_and_unreadable_files_are_no_obstacle() {
    let scene = Scene::with(&[
        ("Procfile", "web: gunicorn app:app\n"),
        ("locked/Procfile", "web: gunicorn hidden:app\n"),
    ]);
    let project = scene.project();
    symlink(&project, project.join("self")).unwrap();
    symlink("loop", project.join("loop")).unwrap();
    symlink("/", project.join("outside")).unwrap();
    for name in [
        "Dockerfile",
        "requirements.txt",
        "pyproject.toml",
        "manage.py",
        ".env",
        ".python-version",
        ".pdm-python",
    ] {
        let mode = rustix::fs::Mode::from_raw_mode(0o644);
        rustix::fs::mknodat(rustix::fs::CWD, project.join(name), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }
    let big = fs::File::create(project.join("run.sh")).unwrap();
    big.set_len(3 << 20).unwrap();
    fs::create_dir(project.join("compose.yaml")).unwrap();
    fs::write(project.join("latin.sh"), b"# caf\xe9\ngunicorn latin:app\n").unwrap();
    fs::write(project.join("bad\u{1b}[2J.sh"), "gunicorn evil:app\n").unwrap();
    fs::set_permissions(project.join("locked"), fs::Permissions::from_mode(0o000)).unwrap();
    let detection = scene.detect();
    fs::set_permissions(project.join("locked"), fs::Permissions::from_mode(0o755)).unwrap();
    let found = lines(&detection);
    assert!(
        found.iter().any(|line| line.ends_with("`gunicorn app:app` <- Procfile:1")),
        "{found:?}"
    );
    assert!(
        found.iter().any(|line| line.ends_with("`gunicorn latin:app` <- latin.sh:2")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("note `run.sh` was not read: it is larger than 1024 KiB")),
        "{found:?}"
    );
    assert!(
        !found.iter().any(|line| line.contains("evil") || line.contains('\u{1b}')),
        "{found:?}"
    );
}

#[test]
fn a_project_that_does_not_exist_gives_a_note() {
    let scene = Scene::new();
    fs::remove_dir(scene.project()).unwrap();
    let detection = scene.detect();
    assert!(
        detection.notes.iter().any(|note| note.ends_with("is not a folder")),
        "{:?}",
        detection.notes
    );
}

#[test]
fn a_project_inside_a_repository_that_ignores_it_is_still_looked_at() {
    let scene = Scene::with(&[("Procfile", "web: gunicorn app:app\n")]);
    fs::create_dir(scene.folder.path().join(".git")).unwrap();
    write(&scene.folder.path().join(".gitignore"), "*\n");
    assert_eq!(scene.detect().servers.len(), 1);
}
