//! What is known to keep spans away and no check sees: why none does, and how a person finds it.
//!
//! `tests/checks.rs` holds this list against the catalogue: every known failure mode is covered by a check or stands here.

/// A failure mode that no check sees.
#[derive(Debug, Clone, Copy)]
pub struct ByHand {
    /// Entry of the catalogue of failure modes.
    pub entry: &'static str,
    /// What happens.
    pub what: &'static str,
    /// Why no check sees it.
    pub why: &'static str,
    /// How a person finds it, and what helps.
    pub how: &'static str,
}

const fn row(entry: &'static str, what: &'static str, why: &'static str, how: &'static str) -> ByHand {
    ByHand { entry, what, why, how }
}

/// All of them, in the catalogue's order.
pub const BY_HAND: &[ByHand] = &[
    row(
        "A08",
        "grpcio has no wheel for this machine and is built for twenty minutes",
        "only the index knows which wheels there are",
        "`python -m pip download --only-binary=:all: --no-deps grpcio`; without one, use --protocol http/protobuf",
    ),
    row(
        "A09",
        "grpcio does not load on Alpine",
        "only loading it shows the missing library",
        "`python -c 'import grpc'` in the image; `apk add libstdc++`, or --protocol http/protobuf",
    ),
    row(
        "A18",
        "the package index cannot be reached",
        "nothing is downloaded by a check",
        "`python -m pip download --no-deps opentelemetry-api`; set PIP_INDEX_URL or a proxy",
    ),
    row(
        "A20",
        "the list of opentelemetry-bootstrap runs into the next line",
        "set-up never runs that program",
        "put a line break behind its last line",
    ),
    row(
        "A22",
        "conda's packages and pip's do not fit together",
        "which of them was built for which is not written down",
        "`conda list | grep pypi`; install grpcio and protobuf from conda-forge",
    ),
    row(
        "B11",
        "another sitecustomize hides the one that starts tracing",
        "which one is first depends on the order of a running process's path",
        "`.signoz/run.sh python -c 'import sitecustomize; print(sitecustomize.__file__)'` must name `.signoz/auto`",
    ),
    row(
        "B16",
        "a frozen program (PyInstaller, pex, zipapp) is not traced",
        "what is in the bundle cannot be read",
        "`file` on the program; initialise OpenTelemetry in its code",
    ),
    row(
        "B17",
        "Python processes multiply at the start",
        "it is seen only while it happens",
        "`ps` at the start; a newer release guards against it",
    ),
    row(
        "B18",
        "client spans arrive, and no request spans",
        "the order of imports shows only in a running app",
        "`signoz-setup --rehearse` counts request spans for each worker",
    ),
    row(
        "B25",
        "default instrumentations make spans that nobody wants",
        "what is noise is the person's matter",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names those to leave out",
    ),
    row(
        "C01",
        "gunicorn's workers are said to lose spans",
        "a belief: it was measured and is not so",
        "`signoz-setup --rehearse` shows each worker's spans",
    ),
    row(
        "C05",
        "a hook initialises after a preloaded app was imported",
        "the order shows only in a running worker",
        "`signoz-setup --rehearse`; start with `.signoz/run.sh`, which needs no such hook",
    ),
    row(
        "C11",
        "children of multiprocessing (spawn, forkserver) send nothing",
        "the start method is chosen by code that runs",
        "start with `.signoz/run.sh`: the loader runs in every new interpreter",
    ),
    row(
        "C12",
        "a pool's children end before their spans are sent",
        "how long a child lives is not written down",
        "call `force_flush()` at the end of the work; the loader flushes at exit",
    ),
    row(
        "C14",
        "Celery's children end before their spans are sent",
        "not told apart from children that the loader flushes",
        "raise worker_max_tasks_per_child, or start with `.signoz/run.sh`",
    ),
    row(
        "C15",
        "uWSGI without threads is said to hold spans back",
        "not reproduced with 2.0.31",
        "`enable-threads = true` does no harm",
    ),
    row(
        "C18",
        "metrics of several workers are missing or doubled",
        "metrics are not set up by this program",
        "leave OTEL_METRICS_EXPORTER=none, or give each worker an attribute of its own",
    ),
    row(
        "C22",
        "a Lambda is frozen before its spans are sent",
        "Lambda has a way of its own",
        "use the OpenTelemetry Lambda layer",
    ),
    row(
        "C23",
        "a short script ends before its spans are sent",
        "how long it runs is not written down",
        "`.signoz/run.sh python script.py` flushes at exit; `os._exit` needs `force_flush()` before it",
    ),
    row(
        "C24",
        "a notebook or a REPL sends nothing",
        "such a session is started by hand",
        "`.signoz/run.sh jupyter notebook`, or set tracing up in the first cell",
    ),
    row(
        "E20",
        "localhost is ::1 for the app and 127.0.0.1 for the collector",
        "the app's own resolver decides",
        "write 127.0.0.1 instead of localhost",
    ),
    row(
        "E24",
        "the network has only IPv4, or only IPv6",
        "which family the app's exporter tries is its own matter",
        "`getent ahosts HOST`; network.dns shows the addresses",
    ),
    row(
        "G01",
        "the service is not in the list of services",
        "SigNoz's pages decide what they list",
        "widen the time range, send a request, wait a minute",
    ),
    row(
        "G02",
        "only client spans are there",
        "stored spans are read by `--yes` with an API key, not by a check",
        "`signoz-setup --rehearse` counts request spans",
    ),
    row(
        "G03",
        "the service is unknown_service in SigNoz",
        "as config.service-name sees it before anything is stored",
        "look under unknown_service, then set OTEL_SERVICE_NAME",
    ),
    row(
        "G04",
        "a trace has a missing span",
        "the missing span's sender is another service",
        "look at the services around it: is each of them traced?",
    ),
    row(
        "G05",
        "another workspace is looked at",
        "which pages are open is not known here",
        "the key's workspace is the one whose Settings, Ingestion shows it",
    ),
    row(
        "G06",
        "a filter hides the service",
        "the filter is in the browser",
        "clear deployment.environment in the filters",
    ),
    row(
        "G07",
        "the spans are older than the retention",
        "retention is a setting of the workspace",
        "Settings, General, Retention",
    ),
    row(
        "G08",
        "the query API refuses its key",
        "a check asks no API",
        "`signoz-setup --yes --api-key-file FILE` says what it answers",
    ),
    row(
        "G09",
        "the query API answers a web page",
        "a check asks no API",
        "SIGNOZ_URL must be the address of the workspace's pages",
    ),
    row(
        "G11",
        "ingestion drops what is over the key's limit",
        "accepted is not stored, and the limit is the workspace's",
        "Settings, Ingestion, limits of the key",
    ),
    row(
        "G12",
        "a self-hosted SigNoz shows pages and takes no spans",
        "its inside is not looked at",
        "`docker compose ps` and the logs of its collector",
    ),
    row(
        "H04",
        "the app starts more slowly",
        "how slow is too slow is the person's matter",
        "time the start with and without `.signoz/run.sh`; leave instrumentations out",
    ),
    row(
        "H05",
        "a span that was not ended never arrives",
        "only ended spans leave",
        "end the stream or the request and look again",
    ),
    row(
        "H06",
        "websockets and streams have no spans of their own",
        "it differs from instrumentation to instrumentation",
        "call the endpoint once and look for its trace in `signoz-setup --tap`",
    ),
    row(
        "H08",
        "Windows",
        "this program sets apps up on Linux and macOS",
        "use WSL, or initialise OpenTelemetry in code",
    ),
];

/// The page of `--explain by-hand`.
#[must_use]
pub fn page() -> String {
    let mut text = String::from("# by-hand\n\nWhat no check sees, and how to find it.\n\n");
    for ByHand { what, why, how, .. } in BY_HAND {
        text.push_str(&format!("{what}\n  Not seen by a check: {why}.\n  By hand: {how}\n"));
    }
    text
}
