//! What the person decided: a draft while questions are open, complete answers for the planner.

use super::secret::{ApiKey, IngestionKey};
use super::target::{Endpoint, InstrumentationSet, Protocol, Region, ServiceName, Target};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where spans are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// SigNoz Cloud.
    Region(Region),
    /// Self-hosted SigNoz, a collector elsewhere, a proxy.
    Endpoint(Endpoint),
}

impl Destination {
    /// The OTLP endpoint.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        match self {
            Self::Region(region) => region.endpoint(),
            Self::Endpoint(endpoint) => endpoint.clone(),
        }
    }
}

/// Answers so far; every field may be open. Also the shape of `signoz-setup.toml`, which never holds a key.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Draft {
    /// `--target`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// `--region`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// `--endpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// `--service-name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_name: Option<ServiceName>,
    /// `--deployment-environment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_environment: Option<ServiceName>,
    /// `--protocol`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// `--python`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub python: Option<PathBuf>,
    /// `--instrumentation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instrumentation: Option<InstrumentationSet>,
    /// `--accept-gaps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept_gaps: Option<bool>,
    /// The start command, as words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// The key; never in the file.
    #[serde(skip)]
    pub key: Option<IngestionKey>,
    /// The API key; never in the file.
    #[serde(skip)]
    pub api_key: Option<ApiKey>,
}

impl Draft {
    /// Fills what is open here with `other`'s answers; `self` wins.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        // A destination is one answer: a region from a file must not join an endpoint from a flag.
        let (region, endpoint) = if self.region.is_some() || self.endpoint.is_some() {
            (self.region, self.endpoint)
        } else {
            (other.region, other.endpoint)
        };
        Self {
            target: self.target.or(other.target),
            region,
            endpoint,
            service_name: self.service_name.or(other.service_name),
            deployment_environment: self.deployment_environment.or(other.deployment_environment),
            protocol: self.protocol.or(other.protocol),
            python: self.python.or(other.python),
            instrumentation: self.instrumentation.or(other.instrumentation),
            accept_gaps: self.accept_gaps.or(other.accept_gaps),
            command: self.command.or(other.command),
            key: self.key.or(other.key),
            api_key: self.api_key.or(other.api_key),
        }
    }
}

/// Complete answers: what the planner needs, nothing open.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// The way spans take.
    pub target: Target,
    /// Where they go.
    pub destination: Destination,
    /// The key; `None` only for an endpoint that needs none.
    pub key: Option<IngestionKey>,
    /// Reads spans back.
    pub api_key: Option<ApiKey>,
    /// `service.name`.
    pub service_name: ServiceName,
    /// `deployment.environment`.
    pub deployment_environment: Option<ServiceName>,
    /// Transport.
    pub protocol: Protocol,
    /// Which releases.
    pub instrumentation: InstrumentationSet,
    /// Install although part of the app will not be traced.
    pub accept_gaps: bool,
    /// The start command, as words.
    pub command: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_endpoint_is_not_joined_by_a_file_region() {
        let flag = Draft {
            endpoint: Some("http://localhost:4317".parse().unwrap()),
            ..Draft::default()
        };
        let file = Draft {
            region: Some("eu".parse().unwrap()),
            ..Draft::default()
        };
        assert_eq!(flag.or(file).region, None);
    }
}
