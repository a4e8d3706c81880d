//! What the receiver passes on: through proxies, to endpoints that refuse or are silent, and at its end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/otlp_messages.rs"]
mod messages;
#[path = "support/program.rs"]
mod program;
#[path = "support/otlp_server.rs"]
mod server;

use messages::{PROTOBUF, export, post, span};
use program::{Program, stdout};
use prost::Message;
use rustix::process::{Pid, kill_process};
use server::{Answer, Gateway, proxy};
use signoz_setup::domain::{Endpoint, IngestionKey, Protocol};
use signoz_setup::error::Signal;
use signoz_setup::system::Cancel;
use signoz_setup::tap::{Forward, Forwarded, Tap, TapOptions};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tonic::Code;

const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];
const LONG: Duration = Duration::from_secs(30);

/// A receiver that passes on with a key.
fn front(runtime: &Runtime, endpoint: &Endpoint, protocol: Protocol, env: &[(&str, &str)]) -> Tap {
    let options = TapOptions {
        forward: Some(Forward {
            endpoint: endpoint.clone(),
            key: Some(IngestionKey::parse("good-key").unwrap()),
            protocol,
            env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }),
        ..TapOptions::default()
    };
    Tap::start(runtime.handle(), options).unwrap()
}

fn send(http: &Endpoint, count: u64) {
    for id in 1..=count {
        let message = export(vec![span(id)]).encode_to_vec();
        assert_eq!(post(http, "/v1/traces", &[PROTOBUF], &message).0, 200);
    }
}

/// Waits until forwarding is as wanted.
fn wait(front: &Tap, wanted: impl Fn(&Forwarded) -> bool) -> Forwarded {
    let end = Instant::now() + LONG;
    loop {
        let state = front.forwarded().unwrap();
        if wanted(&state) {
            return state;
        }
        assert!(Instant::now() < end, "{state:?}");
        thread::yield_now();
    }
}

/// Takes connections at once, and passes nothing on until it is opened.
struct Gate {
    endpoint: Endpoint,
    open: Arc<OnceLock<()>>,
}

fn gate(to: &Endpoint) -> Gate {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let open: Arc<OnceLock<()>> = Arc::default();
    let (opened, to) = (Arc::clone(&open), to.clone());
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let (opened, to) = (Arc::clone(&opened), to.clone());
            thread::spawn(move || {
                opened.wait();
                let Ok(server) = TcpStream::connect((to.bare_host(), to.port)) else {
                    return;
                };
                let (mut up, mut down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || std::io::copy(&mut up, &mut down));
                let _ = std::io::copy(&mut &server, &mut &client);
            });
        }
    });
    Gate { endpoint, open }
}

impl Gate {
    /// Opens as soon as nobody listens there any more.
    fn open_when_closed(&self, door: Endpoint) -> thread::JoinHandle<()> {
        let open = Arc::clone(&self.open);
        thread::spawn(move || {
            while TcpStream::connect((door.bare_host(), door.port)).is_ok() {
                thread::yield_now();
            }
            open.set(()).unwrap();
        })
    }
}

#[test]
fn what_is_queued_at_the_end_is_still_passed_on() {
    let runtime = Runtime::new().unwrap();
    for protocol in BOTH {
        let behind = Tap::start(runtime.handle(), TapOptions::default()).unwrap();
        let gate = gate(&behind.endpoint(protocol));
        let mut front = front(&runtime, &gate.endpoint, protocol, &[]);
        send(&front.http_endpoint(), 20);
        assert_eq!(front.forwarded().unwrap().waiting, 20);
        let opener = gate.open_when_closed(front.http_endpoint());
        front.finish(LONG, &Cancel::default());
        opener.join().unwrap();
        let all = Forwarded {
            accepted: 20,
            ..Forwarded::default()
        };
        assert_eq!(front.forwarded().unwrap(), all, "{protocol}");
        assert_eq!(behind.ledger().len(), 20);
    }
}

#[test]
fn what_cannot_be_passed_on_in_time_is_counted() {
    let runtime = Runtime::new().unwrap();
    for protocol in BOTH {
        let silent = Gateway::plain(Answer::Silence).start(&runtime);
        let mut front = front(&runtime, &silent.endpoint, protocol, &[]);
        send(&front.http_endpoint(), 20);
        let began = Instant::now();
        front.finish(Duration::from_millis(200), &Cancel::default());
        assert!(began.elapsed() < LONG);
        let state = front.forwarded().unwrap();
        assert_eq!((state.accepted, state.failed, state.dropped, state.waiting), (0, 0, 20, 0));
        assert!(state.last_failure.unwrap().contains("still waited"), "{protocol}");
    }
}

#[test]
fn a_second_signal_ends_the_wait_for_the_last_ones() {
    let runtime = Runtime::new().unwrap();
    let silent = Gateway::plain(Answer::Silence).start(&runtime);
    let mut front = front(&runtime, &silent.endpoint, Protocol::Grpc, &[]);
    send(&front.http_endpoint(), 3);
    let cancel = Cancel::default();
    cancel.set(Signal::Interrupt);
    assert!(!cancel.insisted());
    cancel.set(Signal::Interrupt);
    let began = Instant::now();
    front.finish(Duration::from_secs(600), &cancel);
    assert!(began.elapsed() < LONG);
    assert_eq!(front.forwarded().unwrap().dropped, 3);
}

#[test]
fn a_proxy_is_passed_and_its_refusal_is_told() {
    let runtime = Runtime::new().unwrap();
    for protocol in BOTH {
        let gateway = Gateway::new(Answer::Accept).start(&runtime);
        let authority = gateway.authority.to_str().unwrap();
        let way = proxy(200, gateway.address);
        let address = format!("http://ann:s3cret@{}", way.address);
        let env = [("https_proxy", address.as_str()), ("SSL_CERT_FILE", authority)];
        let through = front(&runtime, &gateway.endpoint, protocol, &env);
        send(&through.http_endpoint(), 3);
        wait(&through, |state| state.accepted == 3);
        assert_eq!(gateway.received.lock().unwrap().len(), 3);
        let asked = way.asked.lock().unwrap().join("\n");
        assert!(
            asked.starts_with(&format!("CONNECT localhost:{}", gateway.address.port())),
            "{asked}"
        );
        assert!(asked.contains("Basic YW5uOnMzY3JldA=="), "{asked}");

        let refuses = format!("http://{}", proxy(407, gateway.address).address);
        let refused = front(
            &runtime,
            &gateway.endpoint,
            protocol,
            &[("https_proxy", &refuses), ("SSL_CERT_FILE", authority)],
        );
        send(&refused.http_endpoint(), 1);
        let why = wait(&refused, |state| state.last_failure.is_some()).last_failure.unwrap();
        assert!(
            why.contains("407") || why.contains("proxy authorization required"),
            "{protocol}: {why}"
        );

        let unusable = front(&runtime, &gateway.endpoint, protocol, &[("https_proxy", "socks5://127.0.0.1:1")]);
        send(&unusable.http_endpoint(), 1);
        let why = wait(&unusable, |state| state.failed == 1).last_failure.unwrap();
        assert!(why.contains("`https_proxy` cannot be used"), "{protocol}: {why}");
    }
}

#[test]
fn an_unknown_issuer_is_told() {
    let runtime = Runtime::new().unwrap();
    let gateway = Gateway::new(Answer::Accept).start(&runtime);
    for protocol in BOTH {
        let front = front(&runtime, &gateway.endpoint, protocol, &[]);
        send(&front.http_endpoint(), 1);
        let why = wait(&front, |state| state.last_failure.is_some()).last_failure.unwrap();
        assert!(
            why.starts_with("no answer: ") && why.ends_with("unknown issuer"),
            "{protocol}: {why}"
        );
    }
    assert!(gateway.received.lock().unwrap().is_empty());
}

#[test]
fn only_what_may_pass_is_tried_again() {
    let runtime = Runtime::new().unwrap();
    let again = [
        (Answer::Http(503), "HTTP status 503", "HTTP status 503"),
        (
            Answer::GrpcStatusHttp(Code::ResourceExhausted, "slow down", 429),
            "gRPC status 8: slow down",
            "HTTP status 429",
        ),
    ];
    for (answer, grpc, http) in again {
        // A wrong key makes the gateway answer with the status of its choice.
        let gateway = Gateway {
            key: Some("another-key"),
            answer,
            tls: None,
        }
        .start(&runtime);
        for protocol in BOTH {
            let front = front(&runtime, &gateway.endpoint, protocol, &[]);
            send(&front.http_endpoint(), 1);
            let state = wait(&front, |state| state.last_failure.is_some());
            assert_eq!((state.failed, state.waiting), (0, 1), "{state:?}");
            let why = state.last_failure.unwrap();
            assert!(why.contains(if protocol == Protocol::Grpc { grpc } else { http }), "{why}");
        }
    }
    for (answer, protocol, says) in [
        (Answer::Http(400), Protocol::HttpProtobuf, "HTTP status 400"),
        (Answer::Redirect, Protocol::HttpProtobuf, "HTTP status 302"),
        (
            Answer::Grpc(Code::InvalidArgument, "not a trace"),
            Protocol::Grpc,
            "gRPC status 3: not a trace",
        ),
        (Answer::Http(400), Protocol::Grpc, "HTTP status 400"),
        (Answer::Page, Protocol::Grpc, "HTTP status 200"),
    ] {
        let gateway = Gateway::plain(answer).start(&runtime);
        let front = front(&runtime, &gateway.endpoint, protocol, &[]);
        send(&front.http_endpoint(), 1);
        let state = wait(&front, |state| state.failed == 1);
        assert!(state.last_failure.as_ref().unwrap().contains(says), "{state:?}");
    }
}

#[test]
fn the_program_passes_on_the_last_ones_after_ctrl_c_and_reports_them() {
    let runtime = Runtime::new().unwrap();
    let behind = Tap::start(runtime.handle(), TapOptions::default()).unwrap();
    let gate = gate(&behind.endpoint(Protocol::HttpProtobuf));
    let folder = tempfile::tempdir().unwrap();
    let endpoint = gate.endpoint.to_string();
    let mut child = Program::new(folder.path())
        .command([
            "--tap",
            "--forward",
            "--protocol",
            "http/protobuf",
            "--json",
            "--endpoint",
            &endpoint,
        ])
        .args(["--grpc-port", "0", "--http-port", "0"])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let receiving = lines
        .by_ref()
        .map(Result::unwrap)
        .find(|line| line.contains("receiving OTLP"))
        .unwrap();
    let http: Endpoint = receiving
        .split_whitespace()
        .filter(|word| word.starts_with("http://"))
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    send(&http, 12);
    let opener = gate.open_when_closed(http);
    kill_process(Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    let said: Vec<String> = lines.map(Result::unwrap).collect();
    let output = child.wait_with_output().unwrap();
    opener.join().unwrap();
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        (&report["tap"]["forwarded"], &report["tap"]["forward_failed"]),
        (&12.into(), &0.into()),
        "{report}"
    );
    assert_eq!((output.status.code(), behind.ledger().len()), (Some(130), 12));
    assert!(said.iter().any(|line| line.contains("passing on the last 12 exports")), "{said:?}");
}
