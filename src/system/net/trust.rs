//! Which certificates are trusted, and the TLS handshake. Verification is always on; this file only looks over its shoulder.

use super::{Cause, Seen, cause, x509};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, InvalidMessage, RootCertStore, SignatureScheme};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Variables that name a file with more certificates: OpenSSL's, and the exporter's own.
pub const CERTIFICATE_FILES: [&str; 3] = [
    "SSL_CERT_FILE",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
];

/// The trusted roots.
#[derive(Debug, Clone)]
pub struct Trust {
    all: Arc<RootCertStore>,
    public: Arc<RootCertStore>,
    /// What could not be read, one sentence each.
    pub problems: Vec<String>,
}

impl Trust {
    /// The public roots (Mozilla's), this machine's, and those of the files that the variables name.
    #[must_use]
    pub fn of(env: &BTreeMap<String, String>) -> Self {
        let public = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        let mut all = public.clone();
        all.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let mut problems = Vec::new();
        for variable in CERTIFICATE_FILES {
            let Some(path) = env.get(variable).filter(|path| !path.is_empty()) else {
                continue;
            };
            if let Err(problem) = add_file(&mut all, &PathBuf::from(path)) {
                problems.push(format!("`{variable}` names `{path}`, {problem}"));
            }
        }
        Self {
            all: Arc::new(all),
            public: Arc::new(public),
            problems,
        }
    }

    /// TLS for a client that dials by itself.
    ///
    /// # Errors
    /// When the roots make no verifier.
    pub fn config(&self, alpn: &[&str]) -> Result<ClientConfig, Cause> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = verifier(&self.all, &provider)?;
        configure(provider, verifier, alpn)
    }
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| format!("which cannot be read as PEM: {error}"))?;
    if certificates.is_empty() {
        return Err("which holds no certificate".to_owned());
    }
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err("which holds no usable certificate".to_owned());
    }
    Ok(())
}

/// Asks the real verifier, and remembers who issued what it was shown and whether the public roots would do.
#[derive(Debug)]
struct Witness {
    all: Arc<WebPkiServerVerifier>,
    public: Arc<WebPkiServerVerifier>,
    saw: Mutex<Saw>,
}

#[derive(Debug, Clone, Default)]
struct Saw {
    issuer: Option<String>,
    public: bool,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict =
            |verifier: &WebPkiServerVerifier| verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        // The last issuer of the chain is the one whose root is missing.
        let last = intermediates.last().unwrap_or(end_entity);
        *self.saw.lock().unwrap_or_else(PoisonError::into_inner) = Saw {
            issuer: x509::issuer(last),
            public: verdict(&self.public).is_ok(),
        };
        verdict(&self.all)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.all.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.all.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.all.supported_verify_schemes()
    }
}

/// Makes a TLS connection out of a TCP connection.
pub(super) async fn secure(stream: TcpStream, host: &str, alpn: &[&str], trust: &Trust) -> Result<(TlsStream<TcpStream>, Seen), Cause> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let witness = Arc::new(Witness {
        all: verifier(&trust.all, &provider)?,
        public: verifier(&trust.public, &provider)?,
        saw: Mutex::default(),
    });
    let config = configure(provider, Arc::clone(&witness) as Arc<dyn ServerCertVerifier>, alpn)?;
    let name = ServerName::try_from(host.to_owned()).map_err(unusable)?;
    let saw = || witness.saw.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
        Ok(stream) => {
            let (_, session) = stream.get_ref();
            let seen = Seen::Tls {
                version: session
                    .protocol_version()
                    .map_or_else(String::new, |version| version.as_str().unwrap_or("TLS").replace("TLSv1_", "TLS 1.")),
                issuer: saw().issuer,
                alpn: session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
                public: saw().public,
            };
            Ok((stream, seen))
        }
        Err(error) => Err(handshake_cause(&error, saw().issuer)),
    }
}

fn configure(provider: Arc<CryptoProvider>, verifier: Arc<dyn ServerCertVerifier>, alpn: &[&str]) -> Result<ClientConfig, Cause> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}

fn verifier(roots: &Arc<RootCertStore>, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, Cause> {
    WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
        .build()
        .map_err(unusable)
}

fn unusable(error: impl std::fmt::Display) -> Cause {
    Cause::Handshake(error.to_string())
}

/// The cause in an error of a handshake, which may lie in another error of the same kind.
pub(super) fn handshake_cause(error: &io::Error, issuer: Option<String>) -> Cause {
    let inner = error.get_ref();
    if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<io::Error>()) {
        return handshake_cause(error, issuer);
    }
    let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return cause(error);
    };
    match tls {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => Cause::NotTls,
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) | rustls::Error::NoApplicationProtocol => {
            Cause::NoApplicationProtocol
        }
        rustls::Error::InvalidCertificate(objection) => match objection {
            CertificateError::UnknownIssuer => Cause::UnknownIssuer { issuer },
            CertificateError::NotValidForNameContext { presented, .. } => Cause::WrongName {
                names: presented.iter().map(|name| plain_name(name)).collect(),
            },
            CertificateError::NotValidForName => Cause::WrongName { names: Vec::new() },
            CertificateError::ExpiredContext { time, not_after } => Cause::Expired {
                by: std::time::Duration::from_secs(time.as_secs().saturating_sub(not_after.as_secs())),
            },
            CertificateError::NotValidYetContext { time, not_before } => Cause::NotYetValid {
                by: std::time::Duration::from_secs(not_before.as_secs().saturating_sub(time.as_secs())),
            },
            other => Cause::BadCertificate(other.to_string()),
        },
        other => Cause::Handshake(other.to_string()),
    }
}

/// `DnsName("example.org")` → `example.org`.
fn plain_name(text: &str) -> String {
    text.split('"').nth(1).unwrap_or(text).to_owned()
}
