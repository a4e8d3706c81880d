//! Level `endpoint`.
use crate::domain::*; use crate::domain::event::Observer; use crate::system::System; use std::time::Duration;
pub struct ProbeRequest<'a> { pub endpoint: &'a Endpoint, pub key: Option<&'a IngestionKey>, pub protocol: Protocol, pub service_name: &'a ServiceName, pub deadline: Duration }
pub fn probe(_: &System, _: &ProbeRequest<'_>, _: Observer<'_>) -> LevelReport { LevelReport::not_run(Level::Endpoint, "x") }
