//! Small projects, each with what must be said about it and where it was seen.

use super::support::{Scene, lines};
use std::fmt::Write as _;

/// A project and what must (or, after `!`, must not) be among the lines about it; a line may be given by its start.
struct Case {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    expected: &'static [&'static str],
}

pub(crate) const FLASK: &str = "from flask import Flask\napp = Flask(__name__)\n";
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
        name: "scripts of a Pipfile",
        files: &[(
            "Pipfile",
            "[packages]\nflask = \"*\"\n[scripts]\nserve = \"gunicorn app:app -w 2\"\n",
        )],
        expected: &[
            "server gunicorn fork 2 `gunicorn app:app -w 2` <- Pipfile:4",
            "framework flask - <- Pipfile:2",
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
            "server gunicorn fork 1 DB_PASSWORD=•••••••• API_KEY=•••••••• `gunicorn --env SECRET_TOKEN=•••••••• app:app` <- Procfile:1",
            "server celery fork ? `celery -A x -b redis://u:••••••••@h/0 worker` <- Procfile:2",
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
