//! Which libraries a person asks about: what they are for, and the well-known ones that nothing instruments.

/// What a library does in an app, as far as spans are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Serves requests: without it there is no request span at all.
    Web,
    /// Works on tasks: without it there is no task span at all.
    Tasks,
    /// Makes calls: to databases, queues, other services.
    Client,
}

/// Frameworks; everything else that has an instrumentation is a client.
const FRAMEWORKS: &[(&str, Role)] = &[
    ("aiohttp", Role::Client),
    ("celery", Role::Tasks),
    ("django", Role::Web),
    ("falcon", Role::Web),
    ("fastapi", Role::Web),
    ("flask", Role::Web),
    ("pyramid", Role::Web),
    ("remoulade", Role::Tasks),
    ("starlette", Role::Web),
    ("tornado", Role::Web),
];

/// Well-known libraries that make or serve calls and that some or all releases have no instrumentation for.
const WITHOUT: &[(&str, Role)] = &[
    ("aiokafka", Role::Client),
    ("aiomysql", Role::Client),
    ("aiosqlite", Role::Client),
    ("apscheduler", Role::Tasks),
    ("arq", Role::Tasks),
    ("asyncmy", Role::Client),
    ("blacksheep", Role::Web),
    ("bottle", Role::Web),
    ("cassandra-driver", Role::Client),
    ("cherrypy", Role::Web),
    ("clickhouse-connect", Role::Client),
    ("clickhouse-driver", Role::Client),
    ("cx-oracle", Role::Client),
    ("dramatiq", Role::Tasks),
    ("duckdb", Role::Client),
    ("httpx", Role::Client),
    ("huey", Role::Tasks),
    ("litestar", Role::Web),
    ("mysqlclient", Role::Client),
    ("neo4j", Role::Client),
    ("nats-py", Role::Client),
    ("openai", Role::Client),
    ("oracledb", Role::Client),
    ("psycopg", Role::Client),
    ("psycopg2-binary", Role::Client),
    ("pymssql", Role::Client),
    ("pyodbc", Role::Client),
    ("quart", Role::Web),
    ("robyn", Role::Web),
    ("rq", Role::Tasks),
    ("sanic", Role::Web),
    ("valkey", Role::Client),
];

/// Not worth a row: they carry no spans of their own, or come along with others.
const SILENT: &[&str] = &["asgiref", "psutil", "pydantic", "structlog"];

/// What a library is for.
pub(super) fn role(library: &str) -> Role {
    FRAMEWORKS
        .iter()
        .chain(WITHOUT)
        .find(|(name, _)| *name == library)
        .map_or(Role::Client, |(_, role)| *role)
}

/// Whether a person would ask about it although no release at hand instruments it.
pub(super) fn is_well_known(library: &str) -> bool {
    WITHOUT.iter().any(|(name, _)| *name == library)
}

/// Whether it has no place in the table.
pub(super) fn is_silent(library: &str) -> bool {
    SILENT.contains(&library)
}
