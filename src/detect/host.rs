//! The machine: system, privileges, proxies, and the marks that containers and clusters leave.

use super::text::{self, evidence};
use crate::domain::detection::{Evidence, Host};
use crate::system::System;
use std::fs;
use std::path::{Path, PathBuf};

/// Variables that send connections through a proxy, or past it.
const PROXIES: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "GRPC_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "grpc_proxy",
    "no_grpc_proxy",
];

/// Looks at the machine.
pub fn look(system: &System) -> Host {
    let linux = cfg!(target_os = "linux");
    let root = rustix::process::geteuid().is_root();
    Host {
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        libc: linux.then(|| libc(system)).flatten(),
        init: linux.then(|| init(system)).flatten(),
        root,
        foreign_home: foreign_home(system, rustix::process::geteuid().as_raw()),
        proxies: PROXIES
            .iter()
            .filter(|name| system.var(name).is_some())
            .map(|name| (*name).to_owned())
            .collect(),
    }
}

/// The dynamic loader tells: musl's is called `ld-musl-<arch>.so.1`, glibc's `ld-linux-<arch>.so`.
fn libc(system: &System) -> Option<String> {
    let loader = |folder: &str, prefix: &str| {
        fs::read_dir(system.at(folder)).ok().is_some_and(|entries| {
            entries
                .flatten()
                .any(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix)))
        })
    };
    let any = |prefix: &str| ["/lib", "/lib64"].iter().any(|folder| loader(folder, prefix));
    if any("ld-linux") {
        return Some("glibc".to_owned());
    }
    // A glibc system may have musl beside it, so musl is asked for last.
    any("ld-musl-").then(|| "musl".to_owned())
}

/// systemd(1), sd_booted(3): the folder exists exactly when systemd is the init.
fn init(system: &System) -> Option<String> {
    let name = text::read(&system.at("/proc/1/comm")).ok()?;
    let name = text::clean(name.trim());
    let name = if name.is_empty() { return None } else { name };
    Some(if name == "init" && system.at("/run/systemd/system").is_dir() {
        "systemd".to_owned()
    } else {
        name
    })
}

/// HOME and the password file disagree on where the effective user lives: files would land in another person's home.
fn foreign_home(system: &System, uid: u32) -> Option<(PathBuf, PathBuf)> {
    system.var("SUDO_USER")?;
    let home = PathBuf::from(system.var("HOME")?);
    let passwd = text::read(&system.at("/etc/passwd")).ok()?;
    let uid = uid.to_string();
    let own = passwd.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        (fields.get(2) == Some(&uid.as_str()))
            .then(|| fields.get(5).map(PathBuf::from))
            .flatten()
    })?;
    (text::tidy(&home) != text::tidy(&own)).then_some((home, own))
}

/// What says that this machine is itself a container.
pub(super) fn container_marks(system: &System) -> Vec<Evidence> {
    let mut marks = Vec::new();
    for (path, fact) in [
        ("/.dockerenv", "Docker puts this file into every container"),
        ("/run/.containerenv", "Podman puts this file into every container"),
    ] {
        if system.at(path).exists() {
            marks.push(evidence(path, fact));
        }
    }
    if let Some(kind) = system.var("container") {
        marks.push(evidence("container", format!("set to {kind}")));
    }
    if let Ok(groups) = text::read(&system.at("/proc/1/cgroup"))
        && let Some((index, line)) = groups.lines().enumerate().find(|(_, line)| {
            ["/docker", "/kubepods", "/containerd", "/lxc", "/libpod", "crio-"]
                .iter()
                .any(|mark| line.contains(mark))
        })
    {
        marks.push(evidence(format!("/proc/1/cgroup:{}", index + 1), line));
    }
    marks
}

/// What says that this machine is a pod.
pub(super) fn cluster_marks(system: &System) -> Vec<Evidence> {
    let mut marks = Vec::new();
    if system.var("KUBERNETES_SERVICE_HOST").is_some() {
        marks.push(evidence("KUBERNETES_SERVICE_HOST", "the kubelet sets it in every pod"));
    }
    let account = "/var/run/secrets/kubernetes.io/serviceaccount";
    if system.at(account).is_dir() || system.at("/run/secrets/kubernetes.io/serviceaccount").is_dir() {
        marks.push(evidence(account, "a service account is mounted"));
    }
    marks
}

/// ELF `e_machine` numbers (elf(5), the System V ABI) by the names that Rust uses.
const MACHINES: &[(u16, &str)] = &[
    (3, "x86"),
    (8, "mips"),
    (20, "powerpc"),
    (21, "powerpc64"),
    (22, "s390x"),
    (40, "arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
    (258, "loongarch64"),
];

/// The architecture that an ELF program was built for; `None` for anything else, a script for example.
pub(super) fn elf_arch(program: &Path) -> Option<&'static str> {
    use std::io::Read;
    let mut head = [0; 20];
    if !fs::metadata(program).ok()?.is_file() {
        return None;
    }
    fs::File::open(program).ok()?.read_exact(&mut head).ok()?;
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let bytes = [head[18], head[19]];
    // Byte 5 says the order: 2 is big-endian.
    let machine = if head[5] == 2 {
        u16::from_be_bytes(bytes)
    } else {
        u16::from_le_bytes(bytes)
    };
    Some(
        MACHINES
            .iter()
            .find(|(number, _)| *number == machine)
            .map_or("another machine", |(_, name)| *name),
    )
}
