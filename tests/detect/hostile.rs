//! Files made by chance out of the pieces that the readers look for: nothing panics, no secret and no escape gets through.

use super::support::{Scene, write};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const NAMES: &[&str] = &[
    "Procfile",
    "Dockerfile",
    "compose.yaml",
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "supervisord.conf",
    "uwsgi.ini",
    "web.service",
    "run.sh",
    "Makefile",
    "app.py",
    "manage.py",
    "gunicorn.conf.py",
    "requirements.txt",
    "Pipfile",
    "environment.yml",
    ".env",
    ".venv/pyvenv.cfg",
    ".pdm-python",
    ".python-version",
    "k8s/web.yaml",
];

const PIECES: &[&str] = &[
    "web: ",
    "gunicorn ",
    "uvicorn ",
    "celery -A x worker",
    "python -m ",
    "-c ",
    "-w",
    "--workers=",
    "exec ",
    "env ",
    "sudo ",
    "sh -c '",
    "\"",
    "'",
    "`",
    "$",
    "${",
    "}",
    "$(",
    ")",
    "\\\n",
    "\n",
    "\r\n",
    "\t",
    " ",
    "=",
    ":",
    "[",
    "]",
    "{",
    "#",
    "<<EOF\n",
    "EOF\n",
    "FROM x AS y\n",
    "CMD ",
    "CMD [\"",
    "ENV ",
    "services:\n  web:\n    command: ",
    "[program:x]\ncommand=",
    "[uwsgi]\n",
    "[Service]\nExecStart=",
    "[tool.poe.tasks]\na = ",
    "version = 3.",
    "é",
    "\u{202e}",
    "\u{1b}[2J",
    "\u{0}",
    "app = Flask(__name__)\n",
    "def post_fork(a):\n    ",
    "add_span_processor(",
    "uvicorn.run(",
    "os.environ['DJANGO_SETTINGS_MODULE'] = ",
    "--",
    "-",
    "*a",
    "&a ",
    "://u:",
    "@h",
    "&&",
    "||",
    ";",
    "|",
    ">",
    "2>&1",
    "\u{feff}",
    "99999999999999999999",
    "..",
    "/",
    "./",
    // A value that must never be seen stands behind each of these names.
    "API_TOKEN=canary ",
    "--password canary ",
    "DB_PASSWORD: canary\n",
    "SECRET_KEY = 'canary'\n",
    "redis://u:canary@h/0 ",
];

fn content() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, rng_seed: RngSeed::Fixed(4711), ..ProptestConfig::default() })]

    #[test]
    fn chance_made_projects_are_survived(files in prop::collection::btree_map(prop::sample::select(NAMES), content(), 1..8)) {
        let scene = Scene::new();
        for (name, content) in &files {
            write(&scene.project().join(name), content);
        }
        let json = serde_json::to_string(&scene.detect()).unwrap();
        for escape in ["\\u001b", "\\u0000", "\u{202e}"] {
            prop_assert!(!json.contains(escape), "{escape:?} in {json}");
        }
        prop_assert!(!json.contains("canary"), "a secret in {json}");
    }
}
