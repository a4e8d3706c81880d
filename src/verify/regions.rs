//! Which region a key belongs to: the same key, tried against the ingest host of each.
//!
//! May never be called before the person has agreed to it: the key goes to every host that is named here.

use super::endpoint::{ProbeRequest, probe};
use crate::domain::{Endpoint, IngestionKey, LevelReport, Protocol, Region, ServiceName};
use crate::system::System;
use std::time::Duration;

/// How long each region may take; they are asked side by side.
const PATIENCE: Duration = Duration::from_secs(12);

/// SigNoz Cloud's regions with their ingest hosts.
#[must_use]
pub fn cloud() -> Vec<(Region, Endpoint)> {
    let known = Region::KNOWN.iter().filter_map(|code| code.parse::<Region>().ok());
    known.map(|region| (region.clone(), region.endpoint())).collect()
}

/// Tries the key against each of these, side by side; the answers keep the order.
///
/// A region that accepts the key has received one verification span.
#[must_use]
pub fn try_each(
    system: &System,
    regions: &[(Region, Endpoint)],
    key: &IngestionKey,
    protocol: Protocol,
    service_name: &ServiceName,
) -> Vec<(Region, LevelReport)> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = regions
            .iter()
            .map(|(region, endpoint)| {
                let ask = move || {
                    let request = ProbeRequest {
                        endpoint,
                        key: Some(key),
                        protocol,
                        service_name,
                        region: Some(region),
                        deadline: PATIENCE,
                    };
                    probe(system, &request, &|_| {})
                };
                (region, scope.spawn(ask))
            })
            .collect();
        // A thread that panicked has no answer; its region is not the one.
        asked
            .into_iter()
            .filter_map(|(region, asked)| Some((region.clone(), asked.join().ok()?)))
            .collect()
    })
}
