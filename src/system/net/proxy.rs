//! Which proxy the app's exporter would use, by the variables it obeys, and the tunnel through it.
//!
//! May never show a proxy's user name or password.

use super::{Cause, cause};
use crate::domain::target::{Endpoint, Protocol, Scheme};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

/// An HTTP proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The variable that names it.
    pub variable: String,
    /// `user:password`, decoded.
    credentials: Option<String>,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "http://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "http://{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self} from {})", self.variable)
    }
}

impl Proxy {
    /// The value of `Proxy-Authorization`, when the proxy's address carries credentials.
    #[must_use]
    pub fn authorization(&self) -> Option<String> {
        self.credentials
            .as_ref()
            .map(|credentials| format!("Basic {}", base64(credentials.as_bytes())))
    }
}

/// What the variables say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// No proxy.
    Direct,
    /// This one.
    Via(Proxy),
    /// A variable holds something that is not an `http://` proxy.
    Unusable {
        /// Which.
        variable: String,
        /// Why.
        why: String,
    },
}

/// The choice, with what the person should know about the variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Which way.
    pub choice: Choice,
    /// Variables that look as if they mattered and do not.
    pub note: Option<String>,
}

/// Chooses as the Python exporters do: gRPC's C core reads lower-case names only and does not look at the scheme;
/// `requests` prefers lower case, accepts upper case, and looks at the scheme.
#[must_use]
pub fn choose(env: &BTreeMap<String, String>, endpoint: &Endpoint, protocol: Protocol) -> Decision {
    let set = |name: &str| env.get(name).filter(|value| !value.trim().is_empty());
    let first = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| set(name).map(|value| ((*name).to_owned(), value.clone())))
    };
    let by_scheme: [&str; 4] = match endpoint.scheme {
        Scheme::Https => ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        Scheme::Http => ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
    };
    let (obeyed, exceptions) = match protocol {
        Protocol::Grpc => (
            first(&["grpc_proxy", "https_proxy", "http_proxy"]),
            first(&["no_grpc_proxy", "no_proxy"]),
        ),
        Protocol::HttpProtobuf => (first(&by_scheme), first(&["no_proxy", "NO_PROXY"])),
    };
    let note = (protocol == Protocol::Grpc).then(|| difference(&set, obeyed.is_some())).flatten();
    let excepted = exceptions.is_some_and(|(_, list)| excepts(&list, endpoint));
    let choice = match obeyed {
        Some((variable, value)) if !excepted => parse(variable, &value),
        _ => Choice::Direct,
    };
    Decision { choice, note }
}

fn difference<'a>(set: &impl Fn(&str) -> Option<&'a String>, obeyed: bool) -> Option<String> {
    if !obeyed && set("HTTPS_PROXY").is_some() {
        return Some(
            "`HTTPS_PROXY` is set, but gRPC in Python reads only the lower-case `https_proxy`; the span was sent without a proxy, as the app would"
                .to_owned(),
        );
    }
    let differs = set("HTTPS_PROXY")
        .zip(set("https_proxy"))
        .is_some_and(|(upper, lower)| upper != lower);
    if differs {
        return Some("`HTTPS_PROXY` and `https_proxy` differ; gRPC in Python reads only the lower-case one".to_owned());
    }
    if obeyed && set("NO_PROXY").is_some() && set("no_proxy").is_none() {
        return Some("`NO_PROXY` is set, but gRPC in Python reads only the lower-case `no_proxy`".to_owned());
    }
    None
}

fn parse(variable: String, value: &str) -> Choice {
    let unusable = |why: &str| Choice::Unusable {
        variable: variable.clone(),
        why: why.to_owned(),
    };
    let text = value.trim();
    let text = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let Ok(url) = Url::parse(&text) else {
        return unusable("it is not a URL");
    };
    if url.scheme() != "http" {
        return unusable("only `http://` proxies can be checked");
    }
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
        return unusable("it has no host");
    };
    let credentials =
        (!url.username().is_empty()).then(|| format!("{}:{}", unescape(url.username()), unescape(url.password().unwrap_or_default())));
    Choice::Via(Proxy {
        host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: url.port_or_known_default().unwrap_or(80),
        variable: variable.clone(),
        credentials,
    })
}

/// Whether a `no_proxy` list names the endpoint: `*`, a name or its parent, an address, an IPv4 network; each with or without port.
fn excepts(list: &str, endpoint: &Endpoint) -> bool {
    let host = endpoint.bare_host().to_ascii_lowercase();
    list.split([',', ' '])
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .any(|entry| {
            let entry = entry.to_ascii_lowercase();
            if entry == "*" || entry == host || in_network(&entry, &host) {
                return true;
            }
            let name = match entry.rsplit_once(':') {
                Some((name, port)) if !name.contains(':') => {
                    if port.parse() != Ok(endpoint.port) {
                        return false;
                    }
                    name
                }
                _ => entry.as_str(),
            };
            let name = name.trim_start_matches("*.").trim_start_matches('.');
            host == name || host.strip_suffix(name).is_some_and(|front| front.ends_with('.'))
        })
}

fn in_network(entry: &str, host: &str) -> bool {
    let Some((network, bits)) = entry.split_once('/') else {
        return false;
    };
    let (Ok(network), Ok(bits), Ok(IpAddr::V4(host))) = (network.parse::<Ipv4Addr>(), bits.parse::<u32>(), host.parse::<IpAddr>()) else {
        return false;
    };
    let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
    u32::from(network) & mask == u32::from(host) & mask
}

/// Asks the proxy for a tunnel to the endpoint (RFC 9110 §9.3.6).
pub(super) async fn open_tunnel(stream: &mut TcpStream, proxy: &Proxy, endpoint: &Endpoint) -> Result<(), Cause> {
    let target = format!("{}:{}", endpoint.host, endpoint.port);
    let authorization = proxy
        .authorization()
        .map_or_else(String::new, |value| format!("Proxy-Authorization: {value}\r\n"));
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|error| cause(&error))?;
    let mut head = Vec::new();
    // Byte by byte: what follows the head belongs to the endpoint.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 16 * 1024 {
            return Err(Cause::ProxyProtocol("its answer has no end".to_owned()));
        }
        head.push(stream.read_u8().await.map_err(|error| cause(&error))?);
    }
    let line = String::from_utf8_lossy(&head);
    let mut words = line.split_whitespace();
    match (words.next(), words.next().and_then(|status| status.parse::<u16>().ok())) {
        (Some(version), Some(status)) if version.starts_with("HTTP/1.") => match status {
            200..=299 => Ok(()),
            _ => Err(Cause::ProxyStatus(status)),
        },
        _ => Err(Cause::ProxyProtocol("its answer is not HTTP".to_owned())),
    }
}

fn unescape(text: &str) -> String {
    url::form_urlencoded::parse(format!("x={}", text.replace('+', "%2B")).as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|chunk| {
            let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
            (0..4).map(move |position| {
                if position > chunk.len() {
                    '='
                } else {
                    let index = (group >> (18 - 6 * position)) & 63;
                    char::from(ALPHABET.get(index as usize).copied().unwrap_or(b'='))
                }
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(env: &[(&str, &str)], endpoint: &str, protocol: Protocol) -> Decision {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        choose(&env, &endpoint.parse().unwrap(), protocol)
    }

    fn via(decision: &Decision) -> Option<&str> {
        match &decision.choice {
            Choice::Via(proxy) => Some(&proxy.host),
            _ => None,
        }
    }

    const CLOUD: &str = "https://ingest.us.signoz.cloud:443";

    #[test]
    fn each_protocol_obeys_its_own_variables() {
        let upper = [("HTTPS_PROXY", "http://upper:3128")];
        assert_eq!(via(&decide(&upper, CLOUD, Protocol::HttpProtobuf)), Some("upper"));
        let grpc = decide(&upper, CLOUD, Protocol::Grpc);
        assert_eq!(via(&grpc), None);
        assert!(grpc.note.unwrap().contains("lower-case `https_proxy`"));
        let both = [("HTTPS_PROXY", "upper"), ("https_proxy", "lower:1")];
        assert_eq!(via(&decide(&both, CLOUD, Protocol::HttpProtobuf)), Some("lower"));
        assert!(decide(&both, CLOUD, Protocol::Grpc).note.unwrap().contains("differ"));
        assert_eq!(
            via(&decide(&[("http_proxy", "plain")], "http://host:4318", Protocol::HttpProtobuf)),
            Some("plain")
        );
        assert_eq!(via(&decide(&[("http_proxy", "plain")], CLOUD, Protocol::HttpProtobuf)), None);
    }

    #[test]
    fn exceptions() {
        for (list, excepted) in [
            ("*", true),
            ("signoz.cloud", true),
            (".signoz.cloud", true),
            ("*.signoz.cloud", true),
            ("ingest.us.signoz.cloud:443", true),
            ("ingest.us.signoz.cloud:80", false),
            ("noz.cloud", false),
            ("localhost, us.signoz.cloud", true),
            ("", false),
        ] {
            let decision = decide(&[("https_proxy", "p"), ("no_proxy", list)], CLOUD, Protocol::Grpc);
            assert_eq!(decision.choice == Choice::Direct, excepted, "{list}");
        }
        let inside = decide(
            &[("http_proxy", "p"), ("no_proxy", "10.0.0.0/8")],
            "http://10.1.2.3:4317",
            Protocol::Grpc,
        );
        assert_eq!(inside.choice, Choice::Direct);
    }

    #[test]
    fn credentials_are_used_and_never_shown() {
        let decision = decide(&[("https_proxy", "http://ann:s%40cret@proxy:8080")], CLOUD, Protocol::Grpc);
        let Choice::Via(proxy) = &decision.choice else {
            panic!("{decision:?}")
        };
        assert_eq!(proxy.authorization().unwrap(), "Basic YW5uOnNAY3JldA==");
        assert!(!format!("{proxy} {decision:?}").contains("cret"));
        assert!(matches!(
            decide(&[("https_proxy", "socks5://proxy:1080")], CLOUD, Protocol::Grpc).choice,
            Choice::Unusable { .. }
        ));
    }
}
