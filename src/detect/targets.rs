//! Where the app runs: this machine, a container, a cluster; each with its evidence, the likeliest first.

use super::host;
use super::sources::Origin;
use super::text::{self, evidence};
use super::walk::{Kind, Tree, is_aside};
use crate::domain::detection::{DetectedTarget, Evidence, Host, Server, TargetKind};
use crate::system::System;
use std::path::Path;

/// Manifests that are read.
const MOST: usize = 200;

/// What was found of containers and clusters.
pub(super) struct Places {
    pub(super) targets: Vec<DetectedTarget>,
    pub(super) containers: Vec<Evidence>,
    pub(super) kubernetes: Vec<Evidence>,
}

/// Weighs the signs: where this program itself runs counts most, then what runs, then what is written down.
pub(super) fn find(system: &System, project: &Path, tree: &Tree, machine: &Host, servers: &[(Origin, Server)]) -> Places {
    let in_container = host::container_marks(system);
    let in_cluster = host::cluster_marks(system);
    let files = container_files(project, tree);
    let manifests = manifests(project, tree);
    let running = servers.iter().filter(|(origin, _)| *origin == Origin::Process);
    let services = servers.iter().filter(|(origin, _)| *origin == Origin::Service);
    let mut vm: Vec<Evidence> = running
        .chain(services)
        .filter_map(|(_, server)| server.because.first().cloned())
        .take(3)
        .collect();
    let vm_weight = if in_container.is_empty() {
        1 + 3 * usize::from(!vm.is_empty())
    } else {
        0
    };
    let init = machine
        .init
        .as_deref()
        .filter(|init| *init == "systemd")
        .map_or("", |_| ", systemd is PID 1");
    vm.push(evidence("machine", format!("{} {}{init}", machine.os, machine.arch)));
    let docker_weight = 5 * usize::from(!in_container.is_empty()) + 2 * usize::from(!files.is_empty());
    let cluster_weight = 8 * usize::from(!in_cluster.is_empty()) + 3 * usize::from(!manifests.is_empty());
    let containers: Vec<_> = in_container.into_iter().chain(files).collect();
    let kubernetes: Vec<_> = in_cluster.into_iter().chain(manifests).collect();
    let mut weighed = vec![
        (vm_weight, TargetKind::Vm, vm),
        (docker_weight, TargetKind::Docker, containers.clone()),
        (cluster_weight, TargetKind::Kubernetes, kubernetes.clone()),
    ];
    weighed.retain(|(_, _, because)| !because.is_empty());
    weighed.sort_by_key(|(weight, _, _)| std::cmp::Reverse(*weight));
    Places {
        targets: weighed
            .into_iter()
            .map(|(_, kind, because)| DetectedTarget { kind, because })
            .collect(),
        containers,
        kubernetes,
    }
}

fn container_files(project: &Path, tree: &Tree) -> Vec<Evidence> {
    let mut found = Vec::new();
    for path in tree.of(Kind::Dockerfile).filter(|path| !is_aside(path)).take(MOST) {
        let Ok(content) = text::read(&project.join(path)) else { continue };
        let from = content
            .lines()
            .enumerate()
            .filter(|(_, line)| line.trim_start().to_ascii_uppercase().starts_with("FROM "))
            .last();
        if let Some((index, line)) = from {
            found.push(evidence(format!("{}:{}", path.display(), index + 1), line.trim()));
        }
    }
    for path in tree.of(Kind::Compose).filter(|path| !is_aside(path)).take(MOST) {
        let Ok(content) = text::read(&project.join(path)) else { continue };
        if let Some(index) = content.lines().position(|line| line.starts_with("services:")) {
            found.push(evidence(format!("{}:{}", path.display(), index + 1), "services"));
        }
    }
    found
}

/// Kinds of objects that run containers, and the files that only clusters have.
const RUNNING_KINDS: &[&str] = &["Deployment", "StatefulSet", "DaemonSet", "Pod", "CronJob", "Job", "Rollout"];

fn manifests(project: &Path, tree: &Tree) -> Vec<Evidence> {
    let mut found = Vec::new();
    for path in tree.of(Kind::Manifest).filter(|path| !is_aside(path)).take(MOST) {
        let Ok(content) = text::read(&project.join(path)) else { continue };
        let shown = path.display();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if stem == "Chart" && content.contains("apiVersion:") || stem == "kustomization" {
            found.push(evidence(format!("{shown}:1"), stem));
            continue;
        }
        if !content.contains("apiVersion:") {
            continue;
        }
        let kind = content.lines().enumerate().find_map(|(index, line)| {
            let kind = line.strip_prefix("kind:")?.trim();
            RUNNING_KINDS.contains(&kind).then_some((index + 1, line))
        });
        if let Some((line, text)) = kind {
            found.push(evidence(format!("{shown}:{line}"), text.trim()));
        }
    }
    found
}
