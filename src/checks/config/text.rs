//! How values are written: quotes, placeholders, line ends, headers, resource attributes, names that are no longer read.

use super::CONFIG;
use super::lint::{absent, bare, is_complete, is_literal, is_open, lint, remove, write};
use crate::checks::scene::Scope;
use crate::checks::{Check, Failure, Scene, Severity, Verdict, page};
use crate::detect::survey::FileKind;
use crate::domain::detection::Evidence;

const SPEC: &str = "https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/";
const ENDPOINTS: &str = "https://signoz.io/docs/ingestion/signoz-cloud/overview/";

/// Set `OTEL_*` variables of a scope, without those that are empty.
fn otel(scope: &Scope) -> impl Iterator<Item = (&str, &str)> {
    scope
        .variables
        .iter()
        .filter(|(name, set)| name.starts_with("OTEL_") && !set.value.is_empty())
        .map(|(name, set)| (name.as_str(), set.value.as_str()))
}

fn holds_key(name: &str) -> bool {
    name.ends_with("_HEADERS")
}

fn named(scope: &Scope, names: &[&str]) -> Vec<Evidence> {
    names.iter().flat_map(|name| scope.evidence(name)).collect()
}

pub(super) const UNQUOTED: Check = Check {
    id: "config.unquoted",
    title: "no value carries its quotes along",
    why: "docker --env-file, compose lists and otel.env take quotes literally: the key is refused, the endpoint is not understood",
    remedy: "remove the quotes around the value",
    page: page!("config.unquoted"),
    covers: &["D02"],
    run: unquoted,
    ..CONFIG
};

/// `.env` with quotes, handed over by `docker run --env-file`, and where that is done.
fn docker_env(scene: &Scene<'_>) -> Option<Failure> {
    let text = scene.text(".env")?;
    let (index, name) = text.lines().enumerate().find_map(|(index, line)| {
        let (name, value) = line.split_once('=')?;
        (name.starts_with("OTEL_") && value.trim().starts_with(['"', '\''])).then_some((index, name))
    })?;
    let shell = scene
        .survey
        .files
        .iter()
        .filter(|file| matches!(file.kind, FileKind::Shell | FileKind::Makefile));
    let runs = shell.filter_map(|file| {
        let text = scene.text(&file.path)?.replace("\\\n", " ");
        let hands = text
            .lines()
            .any(|line| line.contains("docker run") && (line.contains("--env-file .env") || line.contains("--env-file=.env")));
        hands.then(|| file.path.display().to_string())
    });
    let script = runs.into_iter().next()?;
    Some(
        Failure::new(format!(
            "{script} hands .env to `docker run --env-file`, which keeps the quotes around {name}"
        ))
        .remedy(format!("remove the quotes around the values in .env (line {})", index + 1))
        .because([
            Evidence::new(format!(".env:{}", index + 1), format!("{name} is quoted")),
            Evidence::new(script, "docker run --env-file .env"),
        ]),
    )
}

fn unquoted(scene: &Scene<'_>) -> Verdict {
    if let Some(failure) = docker_env(scene) {
        return failure.into();
    }
    lint(scene, "no value begins or ends with a quote", |scope| {
        let quoted = |value: &str| {
            let value = value.trim();
            value.starts_with(['"', '\'']) || value.ends_with(['"', '\''])
        };
        // `signoz-ingestion-key="…"` is quoted inside.
        let inside = |name: &str, value: &str| holds_key(name) && value.split(['=', ',']).any(quoted);
        let names: Vec<&str> = otel(scope)
            .filter(|(name, value)| quoted(value) || inside(name, value))
            .map(|(name, _)| name)
            .collect();
        let first = names.first()?;
        let place = scope.variables.get(*first).map_or("", |set| set.source.as_str());
        Some(
            Failure::new(format!("the quotes are part of the value of {}", names.join(", ")))
                .remedy(format!("remove the quotes around the value of {} in {place}", names.join(", ")))
                .because(named(scope, &names)),
        )
    })
}

pub(super) const FILLED_IN: Check = Check {
    id: "config.filled-in",
    title: "no placeholder is left in a setting",
    why: "`<region>`, `{{…}}` or an unexpanded `${NAME}` is sent as it stands: the host does not exist, or the key is refused",
    remedy: "write the real value in place of the placeholder",
    page: page!("config.filled-in"),
    covers: &["D07"],
    run: |scene| {
        lint(scene, "no placeholder is left", |scope| {
            let open = |value: &str| {
                let template =
                    value.contains("{{") || value.contains('<') && value.contains('>') || value.to_ascii_lowercase().contains("your_");
                template || is_literal(scope) && value.contains("$") || value.contains("ingest.{region}") || value.contains("ingest.REGION")
            };
            let names: Vec<&str> = otel(scope)
                .filter(|(name, value)| (name.contains("OTLP") || name.contains("SERVICE") || name.contains("RESOURCE")) && open(value))
                .map(|(name, _)| name)
                .collect();
            let first = names.first()?;
            let place = scope.variables.get(*first).map_or("", |set| set.source.as_str());
            Some(
                Failure::new(format!("a placeholder is left in {}", names.join(", ")))
                    .remedy(format!("write the real value of {} in {place}", names.join(", ")))
                    .because(named(scope, &names)),
            )
        })
    },
    ..CONFIG
};

pub(super) const CONTROL_CHARACTERS: Check = Check {
    id: "config.control-characters",
    title: "no line end or control character hides in a value",
    why: "a file with Windows line ends, or a key out of `cat`, puts a \\r into the value: the key is refused, the host is unknown",
    remedy: "convert the file to Unix line ends",
    page: page!("config.control-characters"),
    covers: &["D33"],
    run: control_characters,
    ..CONFIG
};

fn control_characters(scene: &Scene<'_>) -> Verdict {
    let files = [".signoz/otel.env", ".env"];
    let hit = |file: &&str| scene.text(file).is_some_and(|text| text.contains("\r\n") && text.contains("OTEL_"));
    let windows: Vec<&str> = files.into_iter().filter(hit).collect();
    let verdict = lint(scene, "no control characters", |scope| {
        let names: Vec<&str> = otel(scope)
            .filter(|(_, value)| value.chars().any(char::is_control))
            .map(|(name, _)| name)
            .collect();
        let first = names.first()?;
        let value = scope
            .get(first)
            .map(|value| value.chars().filter(|c| !c.is_control()).collect::<String>());
        let remedy = if holds_key(first) {
            format!("set {first} anew without the line end, and start {} anew", scope.name)
        } else {
            write(scope, first, value.as_deref().unwrap_or_default())
        };
        let evidence = names.iter().filter_map(|name| {
            let set = scope.variables.get(*name)?;
            let at = set.value.chars().position(char::is_control)? + 1;
            Some(Evidence::new(&set.source, format!("{name}: control character at {at}")))
        });
        let failure = Failure::new(format!("a control character is part of {}", names.join(", ")))
            .remedy(remedy)
            .because(evidence);
        Some(failure)
    });
    match (verdict, windows.first()) {
        (Verdict::Fail(failure), _) => failure.into(),
        (_, Some(file)) => Failure::new(format!(
            "{file} has Windows line ends: `docker run --env-file` and systemd pass the \\r on"
        ))
        .remedy(format!("sed -i 's/\\r$//' {file}"))
        .because([Evidence::new(format!("{file}:1"), "lines end in \\r\\n")])
        .mild()
        .into(),
        (verdict, None) => verdict,
    }
}

/// Names that Python's SDK does not read (any longer), and what is read instead.
const OLD: &[(&str, &str)] = &[
    ("OTEL_EXPORTER_OTLP_SPAN_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
    ("OTEL_EXPORTER_OTLP_SPAN_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"),
    ("OTEL_EXPORTER_OTLP_SPAN_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"),
    ("OTEL_EXPORTER_OTLP_SPAN_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"),
    ("OTEL_EXPORTER_OTLP_SPAN_INSECURE", "OTEL_EXPORTER_OTLP_TRACES_INSECURE"),
    ("OTEL_EXPORTER_OTLP_SPAN_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"),
    ("OTEL_EXPORTER_JAEGER_", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ("OTEL_EXPORTER_ZIPKIN_", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ("OTEL_EXPORTER", "OTEL_TRACES_EXPORTER"),
    ("OTEL_TRACE_EXPORTER", "OTEL_TRACES_EXPORTER"),
    ("OTEL_TRACE_SAMPLER", "OTEL_TRACES_SAMPLER"),
    ("OTEL_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ("OTEL_EXPORTER_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ("OTEL_EXPORTER_OTLP_HEADER", "OTEL_EXPORTER_OTLP_HEADERS"),
    ("OTEL_EXPORTER_OTLP_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ("OTEL_SERVICE", "OTEL_SERVICE_NAME"),
    ("OTEL_RESOURCE", "OTEL_RESOURCE_ATTRIBUTES"),
    ("OTEL_RESOURCE_ATTRIBUTE", "OTEL_RESOURCE_ATTRIBUTES"),
    ("OTEL_RESOURCE_LABELS", "OTEL_RESOURCE_ATTRIBUTES"),
    ("OTEL_PYTHON_SERVICE_NAME", "OTEL_SERVICE_NAME"),
    ("OTEL_PYTHON_EXPORTER", "OTEL_TRACES_EXPORTER"),
    ("OTEL_PYTHON_DISABLED_INSTRUMENTATION", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"),
];

pub(super) const CURRENT_NAMES: Check = Check {
    id: "config.current-names",
    title: "every OTEL_* variable has a name that Python reads",
    why: "an old or misspelled name is ignored without a word, and the default takes its place",
    remedy: "use the current name",
    doc: SPEC,
    page: page!("config.current-names"),
    severity: Severity::Warning,
    covers: &["D32"],
    run: |scene| {
        lint(scene, "no old or misspelled name", |scope| {
            let provider = "OTEL_PYTHON_TRACER_PROVIDER";
            if let Some(value) = scope.get(provider).map(bare).filter(|value| *value != "sdk_tracer_provider") {
                let failure = Failure::new(format!("{provider} is `{value}`: another provider takes the place of the SDK's"))
                    .remedy(remove(scope, provider))
                    .because(scope.evidence(provider));
                return Some(failure);
            }
            let known = |name: &str| {
                OLD.iter()
                    .find(|(old, _)| *old == name || old.ends_with('_') && name.starts_with(old))
            };
            let (name, (_, current)) = otel(scope).find_map(|(name, _)| Some((name, known(name)?)))?;
            Some(
                Failure::new(format!("{name} is not read; {current} is"))
                    .remedy(format!("{}, and set {current} there", remove(scope, name)))
                    .because(scope.evidence(name)),
            )
        })
    },
    ..CONFIG
};

pub(super) const SIGNAL_VARIABLES: Check = Check {
    id: "config.signal-variables",
    title: "no OTEL_EXPORTER_OTLP_TRACES_* variable contradicts the general one",
    why: "the traces' own variable wins: what is written in the general one has no effect on spans",
    remedy: "remove the traces' own variable",
    doc: SPEC,
    page: page!("config.signal-variables"),
    severity: Severity::Warning,
    covers: &["D18"],
    run: |scene| {
        lint(scene, "none contradicts another", |scope| {
            let differs = |suffix: &&str| {
                let own = scope.get(&format!("OTEL_EXPORTER_OTLP_TRACES_{suffix}"));
                let general = scope.get(&format!("OTEL_EXPORTER_OTLP_{suffix}"));
                let plain = |text: &str| bare(text).trim_end_matches('/').trim_end_matches("/v1/traces").to_owned();
                own.zip(general).is_some_and(|(own, general)| plain(own) != plain(general))
            };
            let suffix = ["ENDPOINT", "HEADERS", "PROTOCOL", "CERTIFICATE", "INSECURE", "TIMEOUT"]
                .into_iter()
                .find(differs)?;
            let (own, general) = (
                format!("OTEL_EXPORTER_OTLP_TRACES_{suffix}"),
                format!("OTEL_EXPORTER_OTLP_{suffix}"),
            );
            Some(
                Failure::new(format!("{own} wins over {general}, and they differ"))
                    .remedy(remove(scope, &own))
                    .because(named(scope, &[&own, &general])),
            )
        })
    },
    ..CONFIG
};

/// The headers of a scope, split as the SDK splits them; open values are another row's.
fn headers(scope: &Scope) -> Option<(String, Vec<&str>)> {
    let (name, value) = scope.traces("HEADERS")?;
    let value = bare(value);
    (!is_open(value)).then(|| (name, value.split(',').map(str::trim).filter(|part| !part.is_empty()).collect()))
}

const FORM: &str = "signoz-ingestion-key=YOUR-KEY";

pub(super) const HEADERS_FORMAT: Check = Check {
    id: "config.headers-format",
    title: "headers are written as name=value, separated by commas",
    why: "the SDK drops a header that it cannot read, prints it with the key to the log, and every batch is refused with 401",
    remedy: "write OTEL_EXPORTER_OTLP_HEADERS as signoz-ingestion-key=YOUR-KEY",
    doc: ENDPOINTS,
    page: page!("config.headers-format"),
    covers: &["D03"],
    run: |scene| {
        lint(scene, "headers are name=value", |scope| {
            let (name, parts) = headers(scope)?;
            let why = parts.iter().find_map(|part| {
                let Some((header, value)) = part.split_once('=') else {
                    let colon = part.contains(':');
                    return Some(if colon {
                        "has `:` where `=` belongs"
                    } else {
                        "has no `=`: it is only a value or only a name"
                    });
                };
                let (header, value) = (header.trim(), value.trim());
                match () {
                    () if header.contains(':') => Some("has `:` where `=` belongs"),
                    () if header.is_empty() => Some("has a value without a name"),
                    () if !header.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.!#$%&*+^`|~".contains(&b)) => {
                        Some("has a name with characters that no header name may have")
                    }
                    () if value.contains(';') => Some("has `;` in it; headers are separated by `,`"),
                    () if value.contains('\\') => Some("has a backslash in its value"),
                    () if !value.is_ascii() => Some("has characters outside ASCII"),
                    () => None,
                }
            })?;
            let place = scope.variables.get(&name).map_or("", |set| set.source.as_str());
            Some(
                Failure::new(format!("{name} {why}"))
                    .remedy(format!("write {name}={FORM} in {place}; the SDK has printed the old value to the app's log: make a new key if others read that log"))
                    .because(scope.evidence(&name)),
            )
        })
    },
    ..CONFIG
};

pub(super) const HEADER_ENCODING: Check = Check {
    id: "config.header-encoding",
    title: "header values hold no bare space",
    why: "releases up to 1.17 drop a header whose value has a space in it, and no key is sent",
    remedy: "write %20 in place of a space",
    doc: "https://opentelemetry.io/docs/specs/otel/protocol/exporter/",
    page: page!("config.header-encoding"),
    covers: &["D04"],
    run: |scene| {
        let old = scene.is("opentelemetry-sdk", "<1.27");
        lint(scene, "no bare space in a header", |scope| {
            let (name, parts) = headers(scope)?;
            let (header, _) = parts
                .iter()
                .filter_map(|part| part.split_once('='))
                .find(|(_, value)| value.trim().contains(char::is_whitespace))?;
            let place = scope.variables.get(&name).map_or("", |set| set.source.as_str());
            let failure = Failure::new(format!("the value of `{}` in {name} has a space in it", header.trim()))
                .remedy(format!(
                    "write %20 in place of the space in {name} in {place}, or remove it if it is no part of the value"
                ))
                .because(scope.evidence(&name));
            Some(if old { failure } else { failure.mild() })
        })
    },
    ..CONFIG
};

pub(super) const HEADER_NAME: Check = Check {
    id: "config.header-name",
    title: "the key is sent as signoz-ingestion-key",
    why: "SigNoz reads the key from the header signoz-ingestion-key: under another name every batch is refused with 401",
    remedy: "write OTEL_EXPORTER_OTLP_HEADERS as signoz-ingestion-key=YOUR-KEY",
    doc: ENDPOINTS,
    page: page!("config.header-name"),
    // D05, upper case, works: the SDK writes names in lower case.
    covers: &["D05", "D06", "E08"],
    run: |scene| {
        lint(scene, "the header's name is right", |scope| {
            let (name, parts) = headers(scope)?;
            let names: Vec<String> = parts
                .iter()
                .filter_map(|part| part.split_once('='))
                .map(|(header, _)| header.trim().to_ascii_lowercase())
                .collect();
            if names
                .iter()
                .any(|header| matches!(header.as_str(), "signoz-ingestion-key" | "authorization"))
            {
                return None;
            }
            let place = scope.variables.get(&name).map_or("", |set| set.source.as_str());
            let remedy = format!("rename the header in {name} to signoz-ingestion-key ({place})");
            let fail = |detail: String| Failure::new(detail).remedy(remedy).because(scope.evidence(&name));
            if names.iter().any(|header| header == "signoz-access-token") {
                return Some(fail("the header signoz-access-token is deprecated; it is still accepted".to_owned()).mild());
            }
            let near = names.iter().find(|header| {
                let plain: String = header.chars().filter(char::is_ascii_alphanumeric).collect();
                plain.contains("signoz") || plain.contains("ingestion") || plain == "apikey"
            });
            let cloud = scope.traces("ENDPOINT").is_some_and(|(_, value)| value.contains("signoz.cloud"));
            let near = near.or_else(|| names.first().filter(|_| cloud))?;
            Some(fail(format!("the key is sent as `{near}`, which SigNoz does not read")))
        })
    },
    ..CONFIG
};

/// Pairs of `OTEL_RESOURCE_ATTRIBUTES`.
fn attributes(scope: &Scope) -> Vec<(&str, &str)> {
    let text = scope.get("OTEL_RESOURCE_ATTRIBUTES").map(bare).unwrap_or_default();
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim()))
        .collect()
}

fn service(scope: &Scope) -> Option<&str> {
    let own = scope.get("OTEL_SERVICE_NAME").map(bare).filter(|name| !name.is_empty());
    own.or_else(|| {
        attributes(scope)
            .into_iter()
            .find(|(name, value)| *name == "service.name" && !value.is_empty())
            .map(|(_, value)| value)
    })
}

pub(super) const SERVICE_NAME: Check = Check {
    id: "config.service-name",
    title: "the service has a name",
    why: "without service.name all spans land under unknown_service, together with those of every other nameless app",
    remedy: "set OTEL_SERVICE_NAME",
    page: page!("config.service-name"),
    covers: &["D24"],
    run: |scene| {
        if !scene.configured().any(is_complete) {
            return Verdict::Skip("no run script and no running app: nobody has all the variables".to_owned());
        }
        lint(scene, "service.name is set", |scope| {
            if !is_complete(scope) || scope.get("OTEL_CONFIG_FILE").is_some() {
                return None;
            }
            let example = scene.project.file_name().and_then(|name| name.to_str()).unwrap_or("my-service");
            let (detail, because) = match service(scope) {
                None => (
                    "neither OTEL_SERVICE_NAME nor service.name is set".to_owned(),
                    vec![absent(scope, "OTEL_SERVICE_NAME")],
                ),
                Some(name) if name.starts_with("unknown_service") => {
                    let because = named(scope, &["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"]);
                    (format!("service.name is `{name}`, the name of all that have none"), because)
                }
                Some(_) => return None,
            };
            Some(
                Failure::new(detail)
                    .remedy(write(scope, "OTEL_SERVICE_NAME", example))
                    .because(because),
            )
        })
    },
    ..CONFIG
};

pub(super) const ONE_SERVICE_NAME: Check = Check {
    id: "config.one-service-name",
    title: "the service's name is said once",
    why: "OTEL_SERVICE_NAME wins over service.name in OTEL_RESOURCE_ATTRIBUTES: the app is shown under a name that nobody looks for",
    remedy: "keep one of the two",
    page: page!("config.one-service-name"),
    severity: Severity::Warning,
    covers: &["D25"],
    run: |scene| {
        lint(scene, "one name", |scope| {
            let own = scope.get("OTEL_SERVICE_NAME").map(bare)?;
            let (_, other) = attributes(scope).into_iter().find(|(name, _)| *name == "service.name")?;
            (own != other && !is_open(own) && !is_open(other)).then(|| {
                Failure::new(format!("OTEL_SERVICE_NAME says `{own}`, service.name says `{other}`: `{own}` wins"))
                    .remedy(format!("{} if `{other}` is meant", remove(scope, "OTEL_SERVICE_NAME")))
                    .because(named(scope, &["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"]))
            })
        })
    },
    ..CONFIG
};

pub(super) const RESOURCE_ATTRIBUTES: Check = Check {
    id: "config.resource-attributes",
    title: "OTEL_RESOURCE_ATTRIBUTES is name=value, separated by commas",
    why: "the SDK drops a pair that it cannot read, service.name among them, and the app shows as unknown_service",
    remedy: "write OTEL_RESOURCE_ATTRIBUTES as service.name=NAME,deployment.environment=ENV; a comma in a value is %2C",
    doc: SPEC,
    page: page!("config.resource-attributes"),
    covers: &["D26"],
    run: |scene| {
        lint(scene, "all pairs can be read", |scope| {
            let name = "OTEL_RESOURCE_ATTRIBUTES";
            let text = bare(scope.get(name)?);
            if is_open(text) {
                return None;
            }
            let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
            let (number, why) = pairs.enumerate().find_map(|(index, pair)| {
                let why = match pair.split_once('=') {
                    None if pair.contains(':') => "has `:` where `=` belongs",
                    None => "has no `=`; a comma inside a value is written %2C",
                    Some((_, value)) if value.contains(';') && value.contains('=') => "has `;` where `,` belongs",
                    Some((key, _)) if key.trim().is_empty() => "has a value without a name",
                    Some((_, value)) if value.trim().is_empty() => "has a name without a value",
                    Some((key, value)) if key.contains(['"', '\'']) || value.contains(['"', '\'']) => "has quotes in it",
                    Some(_) => return None,
                };
                Some((index + 1, why))
            })?;
            let place = scope.variables.get(name).map_or("", |set| set.source.as_str());
            Some(
                Failure::new(format!("pair {number} of {name} {why}"))
                    .remedy(format!("write pair {number} of {name} as name=value in {place}"))
                    .because(scope.evidence(name)),
            )
        })
    },
    ..CONFIG
};
