//! A stand-in for the cloud's ingest gateway: one TLS port for gRPC (tonic) and HTTP (axum), a key check, and any answer
//! that a test asks for. Also the proxies that stand in front of it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hyper::StatusCode;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use signoz_setup::domain::Endpoint;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::runtime::Runtime;
use tonic::{Code, Status};

/// How the gateway answers a call with the right key.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Accept,
    /// An HTTP status with a web page, to any call.
    Http(u16),
    /// An HTTP status with a web page, to gRPC only; HTTP gets another.
    GrpcStatusHttp(Code, &'static str, u16),
    /// A gRPC status.
    Grpc(Code, &'static str),
    Partial(i64, &'static str),
    /// Status 200 with a web page.
    Page,
    /// A `Date` header with this value.
    Date(&'static str),
    Redirect,
    /// Takes the call and never answers.
    Silence,
}

/// How the gateway is made.
#[derive(Debug, Clone)]
pub struct Gateway {
    pub key: Option<&'static str>,
    pub answer: Answer,
    pub tls: Option<Tls>,
}

/// Its certificate.
#[derive(Debug, Clone)]
pub struct Tls {
    pub names: Vec<&'static str>,
    /// Years in which the certificate is valid.
    pub from: i32,
    pub until: i32,
    pub alpn: Vec<&'static str>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            names: vec!["localhost", "127.0.0.1"],
            from: 2020,
            until: 2099,
            alpn: vec!["h2", "http/1.1"],
        }
    }
}

/// A running gateway; ends with its runtime.
pub struct Running {
    pub endpoint: Endpoint,
    pub address: SocketAddr,
    /// PEM file with the authority that issued its certificate.
    pub authority: PathBuf,
    pub received: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    _folder: tempfile::TempDir,
}

#[derive(Clone)]
struct Shared {
    gateway: Gateway,
    received: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

pub const AUTHORITY: &str = "Stand-in Root";

impl Gateway {
    pub fn new(answer: Answer) -> Self {
        Self {
            key: Some("good-key"),
            answer,
            tls: Some(Tls::default()),
        }
    }

    pub fn plain(answer: Answer) -> Self {
        Self {
            tls: None,
            ..Self::new(answer)
        }
    }

    pub fn with(tls: Tls) -> Self {
        Self {
            tls: Some(tls),
            ..Self::new(Answer::Accept)
        }
    }

    pub fn start(self, runtime: &Runtime) -> Running {
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("authority.pem");
        let acceptor = self.tls.as_ref().map(|tls| {
            let (config, pem) = certify(tls);
            std::fs::write(&authority, pem).unwrap();
            tokio_rustls::TlsAcceptor::from(Arc::new(config))
        });
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let shared = Shared {
            gateway: self,
            received: Arc::default(),
        };
        let received = Arc::clone(&shared.received);
        let router = router(shared);
        runtime.spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (router, acceptor) = (router.clone(), acceptor.clone());
                tokio::spawn(async move {
                    let service = TowerToHyperService::new(router);
                    let builder = Builder::new(TokioExecutor::new());
                    match acceptor {
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                            }
                        }
                        None => {
                            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                        }
                    }
                });
            }
        });
        Running {
            endpoint: format!("{scheme}://localhost:{}", address.port()).parse().unwrap(),
            address,
            authority,
            received,
            _folder: folder,
        }
    }
}

fn certify(tls: &Tls) -> (rustls::ServerConfig, String) {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.distinguished_name.push(DnType::CommonName, AUTHORITY);
    let root_certificate = root.self_signed(&root_key).unwrap();
    let issuer = Issuer::new(root, root_key);
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(tls.names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    leaf.not_before = date_time_ymd(tls.from, 1, 1);
    leaf.not_after = date_time_ymd(tls.until, 1, 1);
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    config.alpn_protocols = tls.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    (config, root_certificate.pem())
}

fn router(shared: Shared) -> Router {
    let grpc = tonic::service::Routes::new(TraceServiceServer::new(shared.clone())).into_axum_router();
    let http = Router::new().route("/v1/traces", post(over_http)).with_state(shared.clone());
    Router::new().merge(grpc).merge(http).layer(from_fn_with_state(shared, gate))
}

fn page(status: u16) -> Response {
    (
        StatusCode::from_u16(status).unwrap(),
        [("content-type", "text/html")],
        "<html><body>gateway</body></html>",
    )
        .into_response()
}

/// The gateway in front of the receivers: key, statuses, pages.
async fn gate(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let grpc = request.headers().get("content-type").is_some_and(|kind| kind == "application/grpc");
    let sent = request.headers().get("signoz-ingestion-key").map(|value| value.as_bytes().to_vec());
    if shared.gateway.key.is_some_and(|key| sent.as_deref() != Some(key.as_bytes())) {
        return match (&shared.gateway.answer, grpc) {
            (Answer::GrpcStatusHttp(code, text, _), true) => Status::new(*code, *text).into_http::<Body>(),
            (Answer::GrpcStatusHttp(_, _, status) | Answer::Http(status), _) => page(*status),
            _ => page(401),
        };
    }
    match &shared.gateway.answer {
        Answer::Http(status) => page(*status),
        Answer::Page => page(200),
        Answer::Redirect => (StatusCode::FOUND, [("location", "https://login.example/")]).into_response(),
        Answer::Silence => std::future::pending().await,
        Answer::Date(date) => {
            let mut response = next.run(request).await;
            response.headers_mut().insert("date", date.parse().unwrap());
            response
        }
        _ => next.run(request).await,
    }
}

fn partial(answer: &Answer) -> ExportTraceServiceResponse {
    ExportTraceServiceResponse {
        partial_success: match answer {
            Answer::Partial(rejected_spans, text) => Some(ExportTracePartialSuccess {
                rejected_spans: *rejected_spans,
                error_message: (*text).to_owned(),
            }),
            _ => None,
        },
    }
}

async fn over_http(State(shared): State<Shared>, body: Bytes) -> Response {
    shared
        .received
        .lock()
        .unwrap()
        .push(ExportTraceServiceRequest::decode(body).unwrap());
    let body = partial(&shared.gateway.answer).encode_to_vec();
    ([("content-type", "application/x-protobuf")], body).into_response()
}

#[tonic::async_trait]
impl TraceService for Shared {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        if let Answer::Grpc(code, text) = &self.gateway.answer {
            return Err(Status::new(*code, *text));
        }
        self.received.lock().unwrap().push(request.into_inner());
        Ok(tonic::Response::new(partial(&self.gateway.answer)))
    }
}

/// An HTTP proxy.
pub struct Proxy {
    pub address: SocketAddr,
    /// First lines and authorizations of the requests that came.
    pub asked: Arc<Mutex<Vec<String>>>,
}

/// A proxy that answers every CONNECT with a status; with 200, the tunnel leads to `to`, whatever was asked for.
/// A request that is no CONNECT is passed on as it came.
pub fn proxy(status: u16, to: SocketAddr) -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let list = Arc::clone(&asked);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            let list = Arc::clone(&list);
            std::thread::spawn(move || serve_proxy(client, status, to, &list));
        }
    });
    Proxy { address, asked }
}

fn serve_proxy(mut client: TcpStream, status: u16, to: SocketAddr, asked: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match client.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let authorization = text
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with("proxy-authorization"))
        .unwrap_or_default();
    asked
        .lock()
        .unwrap()
        .push(format!("{} {authorization}", text.lines().next().unwrap_or_default()));
    let tunnel = text.starts_with("CONNECT");
    if tunnel || status != 200 {
        let _ = client.write_all(format!("HTTP/1.1 {status} Proxy\r\nContent-Length: 0\r\n\r\n").as_bytes());
    }
    if status != 200 {
        // Closed by the client: closing first with unread bytes would reset the connection.
        let _ = client.read_to_end(&mut Vec::new());
        return;
    }
    let Ok(mut server) = TcpStream::connect(to) else { return };
    if !tunnel {
        let _ = server.write_all(&head);
    }
    let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(std::net::Shutdown::Write);
    });
    let _ = std::io::copy(&mut server, &mut client);
    let _ = client.shutdown(std::net::Shutdown::Both);
}
