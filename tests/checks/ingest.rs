//! Fixtures of the family `ingest`.

use super::Fixture;
use super::lab::Lab;
use super::network::gateway;
use super::otlp_server::{Answer, Gateway, Tls};
use signoz_setup::domain::Outcome;
use tonic::Code;

fn healthy(lab: &mut Lab) {
    gateway(lab, Gateway::new(Answer::Accept));
}

pub(super) const FIXTURES: &[Fixture] = &[
    Fixture {
        id: "ingest.key-accepted",
        pass: healthy,
        fail: |lab| gateway(lab, Gateway::new(Answer::Http(401))),
        says: "refused the ingestion key",
    },
    Fixture {
        id: "ingest.accepted",
        pass: healthy,
        fail: |lab| gateway(lab, Gateway::new(Answer::Http(429))),
        says: "limit is used up",
    },
];

#[test]
fn no_failure_of_the_probe_is_hidden_behind_a_stage_that_was_not_reached() {
    let http1 = Tls {
        alpn: vec!["http/1.1"],
        ..Tls::default()
    };
    for gateway in [
        Gateway::with(http1),
        Gateway::new(Answer::Silence),
        Gateway::new(Answer::Partial(1, "too old")),
        Gateway::new(Answer::Grpc(Code::ResourceExhausted, "limit")),
        Gateway::new(Answer::Grpc(Code::Unavailable, "draining")),
        Gateway::new(Answer::Http(404)),
        Gateway::new(Answer::Http(405)),
        Gateway::new(Answer::Http(413)),
        Gateway::new(Answer::Http(503)),
        Gateway::new(Answer::Page),
    ] {
        let name = format!("{gateway:?}");
        let mut lab = Lab::new();
        self::gateway(&mut lab, gateway);
        let found = lab.check(&["network", "ingest"]);
        let failed = found.iter().filter(|finding| finding.outcome == Outcome::Fail).count();
        assert_eq!(failed, 1, "{name}: {found:#?}");
    }
}
