//! Checks on container files.

mod image;
mod service;

use super::{Check, Family, ROW, page};

const DOCKER: Check = Check {
    family: Family::Docker,
    doc: "https://signoz.io/docs/instrumentation/opentelemetry-python/",
    spared: |scene| {
        let written = scene.written();
        (written.dockerfiles.is_empty() && written.composes.is_empty()).then_some("there is no Dockerfile and no compose file")
    },
    ..ROW
};

/// In their order.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "docker.localhost-endpoint",
        title: "a container does not send to its own localhost",
        why: "localhost is the container itself, in which no collector listens: every export is refused",
        remedy: "send to the collector's service name, or to `host.docker.internal` for one on the host",
        page: page!("docker.localhost-endpoint"),
        covers: &["F01"],
        run: service::localhost,
        ..DOCKER
    },
    Check {
        id: "docker.unquoted-values",
        title: "variables of containers hold no quotes",
        why: "compose's list form and `docker run --env-file` keep quotes: the key is sent with them and refused",
        remedy: "remove the quotes around the value",
        page: page!("docker.unquoted-values"),
        covers: &["D02"],
        run: service::quotes,
        ..DOCKER
    },
    Check {
        id: "docker.wrapper-reached",
        title: "the container's last command starts the app under instrumentation",
        why: "variables alone trace nothing: without `opentelemetry-instrument` the app runs untraced, with no message",
        remedy: "put `opentelemetry-instrument` in front of the command of CMD or of the script's last `exec`",
        page: page!("docker.wrapper-reached"),
        covers: &["F18"],
        run: image::wrapper,
        ..DOCKER
    },
    Check {
        id: "docker.bootstrap-order",
        title: "the image installs the app's requirements before `opentelemetry-bootstrap` looks at them",
        why: "bootstrap adds packages only for the libraries that it finds: run first, it leaves the app's framework untraced",
        remedy: "move `RUN opentelemetry-bootstrap -a install` below the installation of the requirements",
        page: page!("docker.bootstrap-order"),
        covers: &["F19"],
        run: image::bootstrap_order,
        ..DOCKER
    },
    Check {
        id: "docker.whole-environment",
        title: "a multi-stage image copies the whole environment to the same Python",
        why: "without `bin` there is no `opentelemetry-instrument`, and another Python does not look into the copied folder",
        remedy: "build a virtual environment and copy it as a whole, on the same base image",
        page: page!("docker.whole-environment"),
        covers: &["F20"],
        run: image::whole_environment,
        ..DOCKER
    },
    Check {
        id: "docker.installs-at-build",
        title: "packages are installed when the image is built, not when it starts",
        why: "a container that is read-only or not root cannot install at its start, and the app does not come up or is not traced",
        remedy: "move the installation into a `RUN` line of the Dockerfile",
        page: page!("docker.installs-at-build"),
        covers: &["F27", "A21"],
        run: image::installs_at_build,
        ..DOCKER
    },
];
