//! Fixtures of the family `network`.

use super::Fixture;
use super::lab::{CANARY, Lab};
use super::otlp_server::{Answer, Gateway, Tls, proxy};
use signoz_setup::domain::Protocol;
use signoz_setup::domain::answers::Destination;
use std::io::{Read, Write};
use std::net::TcpListener;

/// The lab sends to this address.
pub(super) fn sends(lab: &mut Lab, endpoint: &str, protocol: Protocol) {
    lab.offline = false;
    lab.answer(|answers| {
        answers.destination = Destination::Endpoint(endpoint.parse().unwrap());
        answers.protocol = protocol;
    });
}

/// The lab sends to a gateway, whose certificate's authority the app is told when there is one.
pub(super) fn gateway(lab: &mut Lab, mut gateway: Gateway) {
    gateway.key = gateway.key.map(|_| CANARY);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tls = gateway.tls.is_some();
    let running = gateway.start(&runtime);
    sends(lab, &running.endpoint.to_string(), Protocol::Grpc);
    if tls {
        lab.otel("OTEL_EXPORTER_OTLP_CERTIFICATE", running.authority.to_str());
    }
    lab.keep.push(Box::new((running, runtime)));
}

fn healthy(lab: &mut Lab) {
    gateway(lab, Gateway::new(Answer::Accept));
}

fn closed() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(super) const FIXTURES: &[Fixture] = &[
    Fixture {
        id: "network.dns",
        pass: healthy,
        fail: |lab| sends(lab, "https://ingest.nowhere.invalid:443", Protocol::Grpc),
        says: "ingest.nowhere.invalid",
    },
    Fixture {
        id: "network.endpoint-reachable",
        pass: healthy,
        fail: |lab| sends(lab, &format!("http://127.0.0.1:{}", closed()), Protocol::Grpc),
        says: "127.0.0.1",
    },
    Fixture {
        id: "network.proxy",
        pass: healthy,
        fail: |lab| {
            healthy(lab);
            let proxy = proxy(403, "127.0.0.1:9".parse().unwrap());
            lab.env.insert("https_proxy".to_owned(), format!("http://{}", proxy.address));
        },
        says: "HTTP 403",
    },
    Fixture {
        id: "network.tls",
        pass: healthy,
        fail: |lab| {
            gateway(lab, Gateway::with(Tls::default()));
            lab.otel("OTEL_EXPORTER_OTLP_CERTIFICATE", None);
        },
        says: "OTEL_EXPORTER_OTLP_CERTIFICATE",
    },
    Fixture {
        id: "network.http2",
        pass: healthy,
        fail: |lab| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            std::thread::spawn(move || {
                for mut client in listener.incoming().flatten() {
                    let _ = client.read(&mut [0; 1024]);
                    let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                }
            });
            sends(lab, &format!("http://127.0.0.1:{port}"), Protocol::Grpc);
        },
        says: "http/protobuf",
    },
    Fixture {
        id: "network.clock",
        pass: healthy,
        fail: |lab| gateway(lab, Gateway::new(Answer::Date("Sun, 06 Nov 1994 08:49:37 GMT"))),
        says: "ahead of the endpoint's",
    },
];
