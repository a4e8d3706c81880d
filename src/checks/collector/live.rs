//! Who listens on this machine where the app sends, and whether it is a receiver.
//!
//! May never send the key: an empty request is enough to know a receiver by.

use crate::checks::{Failure, Scene, Verdict};
use crate::domain::detection::Evidence;
use crate::domain::target::Scheme;
use crate::domain::{Endpoint, Protocol};
use crate::system::net::http::{Answer, Session, Talk};
use crate::system::net::otlp::{Signal, grpc_status, request};
use crate::system::net::trust::Trust;
use crate::system::net::{Route, dial};
use crate::system::process::{self, Process};
use crate::system::{System, sockets};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long an answer of this machine may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Programs that hold OTLP ports and do not hand spans on to SigNoz.
const OTHERS: &[&str] = &["jaeger", "zipkin", "tempo", "datadog", "apm-server", "fluent-bit", "vector"];

pub(super) fn spared(scene: &Scene<'_>) -> Option<&'static str> {
    local(scene).is_none().then_some("the app does not send to this machine")
}

pub(super) fn spared_without_process(scene: &Scene<'_>) -> Option<&'static str> {
    collectors(scene.system).is_empty().then_some("no collector runs on this machine")
}

pub(super) fn spared_without_health(scene: &Scene<'_>) -> Option<&'static str> {
    health_address(scene)
        .is_none()
        .then_some("no collector on this machine is configured with a health check")
}

/// Where the app sends, when that is this machine.
fn local(scene: &Scene<'_>) -> Option<(Endpoint, Protocol)> {
    scene.destination().filter(|(endpoint, _)| endpoint.is_loopback())
}

fn name_of(process: &Process) -> &str {
    let program = process.argv.first().map_or("", String::as_str);
    program.rsplit('/').next().unwrap_or(program)
}

/// Running collectors.
fn collectors(system: &System) -> Vec<Process> {
    let mut found = process::list(&system.root);
    found.retain(|process| {
        let name = name_of(process);
        name.starts_with("otelcol") || name.contains("otel-collector") || name == "signoz-collector"
    });
    found
}

pub(super) fn proxy(scene: &Scene<'_>) -> Verdict {
    let mut unread = false;
    for process in collectors(scene.system) {
        let Some(variables) = process::variables(&scene.system.root, process.pid) else {
            unread = true;
            continue;
        };
        let get = |name: &str| variables.get(name).or_else(|| variables.get(&name.to_ascii_lowercase()));
        let proxied = ["HTTPS_PROXY", "HTTP_PROXY"]
            .into_iter()
            .find(|name| get(name).is_some_and(|value| !value.is_empty()));
        let Some(variable) = proxied else { continue };
        let excluded: Vec<&str> = get("NO_PROXY").map_or("", String::as_str).split(',').map(str::trim).collect();
        for collector in scene.written().collectors.iter().filter(|collector| collector.machine) {
            let exporters = collector.document.value["exporters"].as_object().into_iter().flatten();
            for (name, exporter) in exporters {
                let endpoint = exporter["endpoint"].as_str().unwrap_or_default();
                let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
                let host = rest.split(['/', ':']).next().unwrap_or_default();
                // Go itself never sends localhost through a proxy.
                let near = !host.is_empty() && host != "localhost" && !host.starts_with("127.") && !host.contains('$');
                let near = near
                    && (!host.contains('.')
                        || host.starts_with("10.")
                        || host.starts_with("192.168.")
                        || [".svc", ".local", ".internal", ".lan"].iter().any(|end| host.ends_with(end)));
                let left_out = excluded.iter().any(|entry| {
                    let entry = entry.trim_start_matches('*').trim_start_matches('.');
                    *entry == *host
                        || entry.is_empty() && excluded.contains(&"*")
                        || !entry.is_empty() && host.ends_with(&format!(".{entry}"))
                });
                // A range of addresses (10.0.0.0/8) is not computed here.
                let range = excluded.iter().any(|entry| entry.contains('/'));
                if near && !left_out && !range {
                    return Failure::new(format!(
                        "the collector (pid {}) has {variable} and sends `{name}` to `{host}` through the proxy",
                        process.pid
                    ))
                    .remedy(format!(
                        "set `NO_PROXY={host}` for the collector (pid {}) and restart it",
                        process.pid
                    ))
                    .because([
                        Evidence::new(format!("pid {}", process.pid), format!("{variable} is set")),
                        collector.document.at(endpoint),
                    ])
                    .into();
                }
            }
        }
    }
    if unread {
        return Verdict::Unknown("the collector's variables may not be read by this user".to_owned());
    }
    Verdict::Pass("nothing near goes through a proxy".to_owned())
}

pub(super) fn listening(scene: &Scene<'_>) -> Verdict {
    let Some((endpoint, protocol)) = local(scene) else {
        return Verdict::Skip("the app does not send to this machine".to_owned());
    };
    let sockets = sockets::list();
    if sockets.is_empty() {
        return Verdict::Unknown("this machine does not list its sockets".to_owned());
    }
    let source = scene.main_scope().and_then(|scope| {
        let (name, _) = scope.traces("ENDPOINT")?;
        scope.evidence(&name).into_iter().next()
    });
    let listener = sockets.iter().find(|socket| {
        let ip = socket.local.ip();
        socket.listening && socket.local.port() == endpoint.port && (ip.is_loopback() || ip.is_unspecified())
    });
    let Some(listener) = listener else {
        return Failure::new(format!("nothing listens on port {} of this machine", endpoint.port))
            .remedy(start_remedy(scene, endpoint.port, protocol))
            .because(source)
            .into();
    };
    let holder = process::list(Path::new("/"))
        .into_iter()
        .find(|process| sockets::held_by(process.pid).contains(&listener.inode));
    let Some(holder) = holder else {
        return Verdict::Pass(format!("{} listens; the process may not be seen by this user", listener.local));
    };
    let name = name_of(&holder);
    if OTHERS.iter().any(|other| name.starts_with(other)) {
        return Failure::new(format!(
            "port {} is held by `{name}`, which is no collector for SigNoz",
            endpoint.port
        ))
        .remedy(format!(
            "stop it (`kill {}`), or give the collector another port and write that into `OTEL_EXPORTER_OTLP_ENDPOINT`",
            holder.pid
        ))
        .because([Evidence::new(format!("pid {}", holder.pid), name)])
        .into();
    }
    Verdict::Pass(format!("{} listens: {name}, pid {}", listener.local, holder.pid))
}

/// What to do where nothing listens: publish a container's port, or start the collector.
fn start_remedy(scene: &Scene<'_>, port: u16, protocol: Protocol) -> String {
    for compose in &scene.written().composes {
        for (name, service) in compose.value["services"].as_object().into_iter().flatten() {
            let is_collector = service["image"].as_str().is_some_and(|image| image.contains("collector"));
            if is_collector && service["network_mode"] != "host" && !service["ports"].to_string().contains(&port.to_string()) {
                return format!(
                    "publish the port: in `{}` below `{name}:` write `ports: [\"{port}:{port}\"]`, then `docker compose up -d {name}`",
                    compose.place(&format!("{name}:"))
                );
            }
        }
    }
    let usual = match protocol {
        Protocol::Grpc => 4317,
        Protocol::HttpProtobuf => 4318,
    };
    let hint = if port == usual {
        String::new()
    } else {
        format!("; its usual port for {protocol} is {usual}")
    };
    format!("start the collector: `sudo systemctl restart otelcol-contrib`, then `ss -ltn 'sport = :{port}'` shows it{hint}")
}

/// One answer of a server on this machine.
fn ask(
    system: &System,
    endpoint: &Endpoint,
    talk: Talk,
    message: hyper::Request<http_body_util::Full<bytes::Bytes>>,
) -> Result<Answer, String> {
    let trust = Trust::of(&system.env);
    let deadline = Instant::now() + PATIENCE;
    system.runtime.block_on(async {
        let alpn = [if talk == Talk::Http2 { "h2" } else { "http/1.1" }];
        let route = Route {
            endpoint,
            proxy: None,
            tunnel: false,
            trust: &trust,
            alpn: &alpn,
            deadline,
        };
        let connection = dial(&route, &mut |_| {}).await.map_err(|_| "the connection failed".to_owned())?;
        let mut session = Session::start(connection, talk, deadline)
            .await
            .map_err(|_| "it does not speak the protocol".to_owned())?;
        session
            .send(message, deadline, 4096)
            .await
            .map_err(|_| "it gave no answer in the protocol".to_owned())
    })
}

pub(super) fn answers(scene: &Scene<'_>) -> Verdict {
    let Some((endpoint, protocol)) = local(scene) else {
        return Verdict::Skip("the app does not send to this machine".to_owned());
    };
    if endpoint.scheme == Scheme::Https {
        return Verdict::Unknown("the receiver speaks TLS: the network checks look at it".to_owned());
    }
    // No span at all is a request that every receiver accepts.
    let Ok(message) = request(&endpoint, protocol, Signal::Traces, None, &[], false) else {
        return Verdict::Unknown("the endpoint cannot be written in a request".to_owned());
    };
    let talk = match protocol {
        Protocol::Grpc => Talk::Http2,
        Protocol::HttpProtobuf => Talk::Http1,
    };
    let trouble = match ask(scene.system, &endpoint, talk, message) {
        Err(trouble) => trouble,
        Ok(answer) => match protocol {
            Protocol::HttpProtobuf if answer.status == 200 => return Verdict::Pass("it takes OTLP over HTTP".to_owned()),
            Protocol::HttpProtobuf if matches!(answer.status, 401 | 403) => {
                return Verdict::Pass("it takes OTLP over HTTP, and wants a key, which is not sent here".to_owned());
            }
            Protocol::HttpProtobuf => format!("it answers {} to `/v1/traces`", answer.status),
            Protocol::Grpc => match grpc_status(&answer) {
                Some(status) if status.code == 16 => {
                    return Verdict::Pass("it takes OTLP over gRPC, and wants a key, which is not sent here".to_owned());
                }
                Some(status) if status.code == 0 => return Verdict::Pass("it takes OTLP over gRPC".to_owned()),
                Some(status) => format!("it answers gRPC status {}", status.code),
                None => format!("it answers {} and no gRPC status", answer.status),
            },
        },
    };
    let source = scene.main_scope().and_then(|scope| {
        let (name, _) = scope.traces("ENDPOINT")?;
        scope.evidence(&name).into_iter().next()
    });
    let port = match protocol {
        Protocol::Grpc => 4317,
        Protocol::HttpProtobuf => 4318,
    };
    Failure::new(format!("what listens at {endpoint} is no OTLP receiver for {protocol}: {trouble}"))
        .remedy(format!(
            "point `OTEL_EXPORTER_OTLP_ENDPOINT` at the collector's {protocol} receiver, usually `http://localhost:{port}`"
        ))
        .because(source)
        .into()
}

/// The configured health check of a collector on this machine: the address, and the configuration's index.
fn health_address(scene: &Scene<'_>) -> Option<(Endpoint, usize)> {
    scene.written().collectors.iter().enumerate().find_map(|(index, collector)| {
        let config = &collector.document.value;
        let active = config["service"]["extensions"].as_array().into_iter().flatten();
        let name = active
            .filter_map(|name| name.as_str())
            .find(|name| name.split('/').next() == Some("health_check"))?;
        let address = config["extensions"][name]["endpoint"].as_str().unwrap_or("localhost:13133");
        let address = address.replace("0.0.0.0", "127.0.0.1");
        let endpoint: Endpoint = format!("http://{address}").parse().ok()?;
        (collector.machine && endpoint.is_loopback()).then_some((endpoint, index))
    })
}

pub(super) fn health(scene: &Scene<'_>) -> Verdict {
    let Some((endpoint, index)) = health_address(scene) else {
        return Verdict::Skip("no health check is configured".to_owned());
    };
    let message = hyper::Request::get("/")
        .header("host", format!("{}:{}", endpoint.host, endpoint.port))
        .body(http_body_util::Full::new(bytes::Bytes::new()));
    let Ok(message) = message else {
        return Verdict::Unknown("the address cannot be written in a request".to_owned());
    };
    let trouble = match ask(scene.system, &endpoint, Talk::Http1, message) {
        Ok(answer) if answer.status == 200 => return Verdict::Pass(format!("{endpoint} answers 200")),
        Ok(answer) => format!("it answers {}", answer.status),
        Err(trouble) => trouble,
    };
    let collector = &scene.written().collectors[index].document;
    Failure::new(format!("the collector is not ready: {endpoint}: {trouble}"))
        .remedy("start it and read why it stops: `sudo systemctl restart otelcol-contrib; journalctl -u otelcol-contrib -n 50`".to_owned())
        .because([collector.at("health_check")])
        .into()
}
