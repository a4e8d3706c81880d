//! Where a key stands that others can read.

use super::SECRETS;
use super::key::written;
use crate::checks::{Check, Failure, Scene, Severity, Verdict, page};
use crate::detect::survey::{FileKind, read_text};
use crate::domain::detection::Evidence;
use crate::system::commands::Invocation;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

const FILE: &str = ".signoz/otel.env";
const NO_FILE: &str = "there is no .signoz/otel.env";

fn has_key_file(scene: &Scene<'_>) -> bool {
    scene.project.join(FILE).is_file()
}

fn spared(scene: &Scene<'_>) -> Option<&'static str> {
    (!has_key_file(scene)).then_some(NO_FILE)
}

/// All keys that are known here, to be looked for.
fn keys(scene: &Scene<'_>) -> BTreeSet<String> {
    scene
        .scopes
        .iter()
        .filter_map(written)
        .map(|key| key.value.trim().trim_matches(['"', '\'']).to_owned())
        .filter(|key| key.len() >= 8 && !key.contains(['$', '<', '{']))
        .collect()
}

/// Whether a line holds a key: one that is known, or one written behind the header's name.
fn holds_key(line: &str, keys: &BTreeSet<String>) -> bool {
    keys.iter().any(|key| line.contains(key.as_str())) || literal(line)
}

/// `signoz-ingestion-key=0123…` with something behind it that looks like a key and not like a placeholder.
fn literal(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    ["signoz-ingestion-key", "signoz-access-token", "signoz_ingestion_key"]
        .into_iter()
        .any(|header| {
            lower.match_indices(header).any(|(at, _)| {
                let rest = &line[at + header.len()..];
                let rest = rest.trim_start_matches(['"', '\'', ' ']);
                let Some(value) = rest.strip_prefix(['=', ':']) else { return false };
                let value = value.trim_start_matches(['"', '\'', ' ']);
                let end = value
                    .find(|c: char| !c.is_ascii_alphanumeric() && !"-_.~+/=".contains(c))
                    .unwrap_or(value.len());
                let (value, lower) = (&value[..end], value[..end].to_ascii_lowercase());
                let example = ["your", "example", "key", "xxx", "changeme"]
                    .iter()
                    .any(|word| lower.contains(word));
                value.len() >= 16 && value.bytes().any(|byte| byte.is_ascii_digit()) && !example
            })
        })
}

pub(super) const FILE_PRIVATE: Check = Check {
    id: "secrets.file-private",
    title: "the file with the key is readable by its owner only",
    why: "every account of the machine can read the key otherwise",
    remedy: "chmod 600 .signoz/otel.env",
    page: page!("secrets.file-private"),
    covers: &["H10"],
    spared,
    run: file_private,
    ..SECRETS
};

fn file_private(scene: &Scene<'_>) -> Verdict {
    let path = scene.project.join(FILE);
    let Ok(metadata) = path.metadata() else {
        return Verdict::Unknown(format!("{} cannot be read", path.display()));
    };
    let mode = metadata.mode() & 0o777;
    let evidence = [Evidence::new(FILE, format!("mode {mode:04o}, owner {}", metadata.uid()))];
    if mode & 0o037 != 0 {
        let who = if mode & 0o007 != 0 {
            "everyone"
        } else {
            "its group, which may change it,"
        };
        return Failure::new(format!("{FILE} has mode {mode:04o}: {who} can read the key"))
            .remedy(format!("chmod 600 {}", path.display()))
            .because(evidence)
            .into();
    }
    // The owner of the folder is who set it up; root may own both, or hand the file to a service.
    let folder = scene.project.metadata().map_or(metadata.uid(), |folder| folder.uid());
    if metadata.uid() != folder && metadata.uid() != 0 && folder != 0 {
        return Failure::new(format!("{FILE} belongs to user {}, the project to user {folder}", metadata.uid()))
            .remedy(format!("chown {folder} {}", path.display()))
            .because(evidence)
            .mild()
            .into();
    }
    Verdict::Pass(format!("mode {mode:04o}"))
}

/// The work tree that the project is in.
fn work_tree<'a>(scene: &Scene<'a>) -> Option<&'a Path> {
    scene.project.ancestors().find(|folder| folder.join(".git").exists())
}

/// Runs git in the project, without touching anything; its exit code.
fn git(scene: &Scene<'_>, words: &[&str]) -> Option<i32> {
    let program = scene.system.which("git")?;
    let mut argv = vec![program.to_string_lossy().into_owned()];
    argv.extend(words.iter().map(|word| (*word).to_owned()));
    let invocation = Invocation::new(argv)
        .within(scene.project)
        .without("GIT_DIR")
        .without("GIT_WORK_TREE")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .deadline(Duration::from_secs(5));
    scene.system.commands.run(&invocation, &mut |_| {}).ok()?.code
}

fn git_spared(scene: &Scene<'_>) -> Option<&'static str> {
    spared(scene).or_else(|| work_tree(scene).is_none().then_some("the project is in no git work tree"))
}

pub(super) const IGNORED: Check = Check {
    id: "secrets.ignored-by-git",
    title: "git ignores the file with the key",
    why: "the next `git add .` puts the key into the history otherwise",
    remedy: "echo otel.env >> .signoz/.gitignore",
    doc: "https://git-scm.com/docs/gitignore",
    page: page!("secrets.ignored-by-git"),
    covers: &["H10"],
    spared: git_spared,
    run: ignored,
    ..SECRETS
};

fn ignored(scene: &Scene<'_>) -> Verdict {
    let seen = match git(scene, &["check-ignore", "--quiet", "--no-index", FILE]) {
        Some(0) => true,
        Some(1) => false,
        _ => {
            // Without git: the plain patterns that name it.
            let own = scene.text(".signoz/.gitignore").unwrap_or_default();
            let top = scene.text(".gitignore").unwrap_or_default();
            let has = |text: &str, names: &[&str]| {
                text.lines()
                    .any(|line| names.contains(&line.trim().trim_start_matches('/').trim_end_matches('/')))
            };
            has(&own, &["otel.env", "*", "*.env"]) || has(&top, &[FILE, ".signoz", ".signoz/*", "otel.env", "*.env", "**/otel.env"])
        }
    };
    if seen {
        return Verdict::Pass("it is ignored".to_owned());
    }
    let ignore = scene.project.join(".signoz/.gitignore");
    Failure::new(format!("{FILE} is not ignored: `git add .` would add the key"))
        .remedy(format!("echo otel.env >> {}", ignore.display()))
        .because([Evidence::new(".signoz/.gitignore", "otel.env is not ignored")])
        .into()
}

pub(super) const UNTRACKED: Check = Check {
    id: "secrets.untracked",
    title: "git does not track the file with the key",
    why: "the key is in the history, and on every clone",
    remedy: "git rm --cached .signoz/otel.env, commit, and make a new key",
    doc: "https://git-scm.com/docs/gitignore",
    page: page!("secrets.untracked"),
    covers: &["H10"],
    spared: git_spared,
    run: untracked,
    ..SECRETS
};

fn untracked(scene: &Scene<'_>) -> Verdict {
    match git(scene, &["ls-files", "--error-unmatch", "--", FILE]) {
        Some(1) => Verdict::Pass("it is not tracked".to_owned()),
        Some(0) => Failure::new(format!("git tracks {FILE}, and the key with it"))
            .remedy(format!(
                "git -C {} rm --cached {FILE}, commit, and make a new key in SigNoz: the old one stays in the history",
                scene.project.display()
            ))
            .because([Evidence::new(FILE, "git tracks it")])
            .into(),
        _ => Verdict::Unknown("git could not be asked".to_owned()),
    }
}

pub(super) const OUTSIDE_IMAGES: Check = Check {
    id: "secrets.outside-images",
    title: "the file with the key is not copied into images",
    why: "a layer of the image shows the key to everyone who can pull it",
    remedy: "echo .signoz/otel.env >> .dockerignore",
    doc: "https://docs.docker.com/build/concepts/context/",
    page: page!("secrets.outside-images"),
    covers: &["H10"],
    spared,
    run: outside_images,
    ..SECRETS
};

fn outside_images(scene: &Scene<'_>) -> Verdict {
    let mut copies = Vec::new();
    for file in scene.survey.files.iter().filter(|file| file.kind == FileKind::Dockerfile) {
        let Some(text) = scene.text(&file.path) else { continue };
        for (index, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            let copy = words
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case("copy") || word.eq_ignore_ascii_case("add"));
            let words: Vec<&str> = words.collect();
            if !copy || words.iter().any(|word| word.starts_with("--from")) {
                continue;
            }
            let sources: Vec<&str> = words.iter().copied().filter(|word| !word.starts_with("--")).collect();
            let sources = sources.split_last().map_or(&[][..], |(_, sources)| sources);
            let takes = |word: &&str| {
                matches!(
                    word.trim_matches(['[', ']', '"', ',']),
                    "." | "./" | "*" | ".signoz" | ".signoz/" | "./.signoz" | FILE
                )
            };
            if sources.iter().any(takes) {
                copies.push(Evidence::new(format!("{}:{}", file.path.display(), index + 1), line.trim()));
            }
        }
    }
    if copies.is_empty() {
        return Verdict::Skip("no Dockerfile copies the whole folder".to_owned());
    }
    let ignore = scene.text(".dockerignore").unwrap_or_default();
    let names = [
        FILE,
        ".signoz",
        ".signoz/*",
        ".signoz/**",
        "**/otel.env",
        "**/*.env",
        ".*",
        "*",
        "**",
        "**/.signoz",
        ".signoz/*.env",
    ];
    let covered = ignore
        .lines()
        .any(|line| names.contains(&line.trim().trim_start_matches("./").trim_start_matches('/').trim_end_matches('/')));
    let again = ignore.lines().any(|line| line.trim_start().starts_with("!.signoz"));
    if covered && !again {
        return Verdict::Pass(".dockerignore leaves it out".to_owned());
    }
    Failure::new(format!("the image gets {FILE}, and the key with it"))
        .remedy(format!("echo {FILE} >> {}", scene.project.join(".dockerignore").display()))
        .because(copies)
        .into()
}

/// Files of the project that are mostly in git, with their text.
fn committed(scene: &Scene<'_>) -> Vec<(String, String)> {
    let mut paths: Vec<String> = ["signoz-setup.toml", "docker-compose.override.yml"].map(str::to_owned).to_vec();
    let own = scene.survey.files.iter().filter(|file| !file.path.starts_with(".signoz/otel.env"));
    paths.extend(own.take(2000).map(|file| file.path.display().to_string()));
    paths.dedup();
    paths
        .into_iter()
        .filter_map(|path| Some((path.clone(), scene.text(&path)?)))
        .collect()
}

pub(super) const NOT_IN_FILES: Check = Check {
    id: "secrets.not-in-files",
    title: "no file of the project has a key written out",
    why: "such files are in git, in images, on every clone: a key in them is known to many",
    remedy: "remove the key from the file; keep it in .signoz/otel.env",
    page: page!("secrets.not-in-files"),
    covers: &["H10"],
    run: not_in_files,
    ..SECRETS
};

fn not_in_files(scene: &Scene<'_>) -> Verdict {
    let keys = keys(scene);
    let mut found = Vec::new();
    for (path, text) in committed(scene) {
        // Most files hold no header's name at all.
        for (index, _) in text.lines().enumerate().filter(|(_, line)| holds_key(line, &keys)) {
            found.push(Evidence::new(format!("{path}:{}", index + 1), "a key is written out here"));
        }
    }
    if found.is_empty() {
        return Verdict::Pass("no key was found in them".to_owned());
    }
    let places: Vec<&str> = found.iter().take(3).map(|evidence| evidence.source.as_str()).collect();
    Failure::new(format!("a key is written out in {}", places.join(", ")))
        .remedy(format!(
            "remove it from {}: keep the key in {FILE}, hand it to containers with `--env-file {FILE}`, and make a new key if the file was pushed",
            places.join(", ")
        ))
        .because(found)
        .into()
}

pub(super) const PRIVATE_UNITS: Check = Check {
    id: "secrets.private-units",
    title: "no unit that others can read holds a key",
    why: "unit files are readable by every account of the machine, and systemctl shows their environment",
    remedy: "move the key to a file with mode 0600, and name it in EnvironmentFile=",
    doc: "https://signoz.io/docs/ingestion/signoz-cloud/keys/",
    page: page!("secrets.private-units"),
    covers: &["H10"],
    run: private_units,
    ..SECRETS
};

fn private_units(scene: &Scene<'_>) -> Verdict {
    let keys = keys(scene);
    let machine = |source: &str| {
        source
            .starts_with('/')
            .then(|| source.rsplit_once(':').map_or(source, |(file, _)| file).to_owned())
    };
    let settings = scene.survey.settings.iter().filter_map(|setting| machine(&setting.source));
    let starts = scene.starts().filter_map(|start| machine(&start.source));
    let files: BTreeSet<String> = settings.chain(starts).collect();
    if files.is_empty() {
        return Verdict::Skip("no unit or supervisor file of this machine runs the project".to_owned());
    }
    let mut found = Vec::new();
    for file in &files {
        let path = scene.system.at(file);
        let open = path.metadata().is_ok_and(|metadata| metadata.mode() & 0o004 != 0);
        let Some(text) = read_text(&path).filter(|_| open) else { continue };
        for (index, _) in text.lines().enumerate().filter(|(_, line)| holds_key(line, &keys)) {
            found.push(Evidence::new(format!("{file}:{}", index + 1), "a key is written out here"));
        }
    }
    let Some(first) = found.first() else {
        return Verdict::Pass("none of them shows a key".to_owned());
    };
    Failure::new(format!("{} holds a key, and every account can read it", first.source))
        .remedy(format!(
            "replace the line in {} by EnvironmentFile={}, then: systemctl daemon-reload",
            first.source,
            scene.project.join(FILE).display()
        ))
        .because(found)
        .into()
}

pub(super) const COMMAND_LINE: Check = Check {
    id: "secrets.command-line",
    title: "no command line holds a key",
    why: "ps shows the arguments of every process to every account",
    remedy: "set the key as a variable, not as an argument",
    page: page!("secrets.command-line"),
    covers: &["H10"],
    run: command_line,
    ..SECRETS
};

fn command_line(scene: &Scene<'_>) -> Verdict {
    if scene.processes().is_empty() {
        return Verdict::Skip("no running process of the app was found".to_owned());
    }
    let keys = keys(scene);
    let hit = scene
        .processes()
        .iter()
        .find(|process| process.process.argv.iter().any(|word| holds_key(word, &keys)));
    let Some(process) = hit else {
        return Verdict::Pass("none does".to_owned());
    };
    let name = process.kind.as_str();
    Failure::new(format!("pid {} ({name}) has a key among its arguments", process.process.pid))
        .remedy(format!(
            "take the key out of the command that starts {name}, start it with {}, and make a new key",
            scene.run_script().display()
        ))
        .because([Evidence::new(
            format!("pid {}", process.process.pid),
            "a key stands among the arguments",
        )])
        .into()
}

pub(super) const NOT_LOGGED: Check = Check {
    id: "secrets.not-logged",
    title: "the app's log does not hold a key",
    why: "the SDK prints a header that it cannot read, key included: who reads the log has the key",
    remedy: "correct the header, delete the lines, and make a new key",
    page: page!("secrets.not-logged"),
    covers: &["D03", "H10"],
    spared: |scene| scene.log.is_empty().then_some("no log was given (--log FILE)"),
    run: not_logged,
    ..SECRETS
};

fn not_logged(scene: &Scene<'_>) -> Verdict {
    let keys = keys(scene);
    let rejected = |line: &str| line.contains("Header format invalid") || line.contains("Header doesn't match the format");
    let found: Vec<Evidence> = scene
        .log
        .iter()
        .filter(|line| rejected(&line.fact) || holds_key(&line.fact, &keys))
        .take(5)
        .map(|line| {
            let fact = if rejected(&line.fact) {
                "a header that the SDK rejected is printed here"
            } else {
                "a key is printed here"
            };
            Evidence::new(&line.source, fact)
        })
        .collect();
    let Some(first) = found.first() else {
        return Verdict::Pass(format!("{} lines hold none", scene.log.len()));
    };
    Failure::new(format!("{} holds a key in plain text", first.source))
        .remedy("write OTEL_EXPORTER_OTLP_HEADERS=signoz-ingestion-key=YOUR-KEY in .signoz/otel.env, delete these lines, and make a new key in SigNoz if others can read the log")
        .because(found)
        .into()
}

pub(super) const KUBERNETES_SECRET: Check = Check {
    id: "secrets.kubernetes-secret",
    title: "a Kubernetes secret holds the key without a line end",
    why: "the line end that `echo` adds becomes part of the header: the key is refused, or the header cannot be sent",
    remedy: "printf %s KEY | base64",
    doc: "https://kubernetes.io/docs/concepts/configuration/secret/",
    page: page!("secrets.kubernetes-secret"),
    severity: Severity::Error,
    covers: &["F26"],
    run: kubernetes_secret,
    ..SECRETS
};

fn kubernetes_secret(scene: &Scene<'_>) -> Verdict {
    let mut seen = false;
    for file in scene.survey.files.iter().filter(|file| file.kind == FileKind::Manifest) {
        let Some(text) = scene.text(&file.path) else { continue };
        let (mut secret, mut data) = (false, false);
        for (index, line) in text.lines().enumerate() {
            let indented = line.starts_with([' ', '\t']);
            match line.trim_end() {
                "---" => (secret, data) = (false, false),
                "kind: Secret" => secret = true,
                "data:" => data = true,
                text if !indented && !text.is_empty() && !text.starts_with('#') => data = false,
                _ => {}
            }
            let Some((name, value)) = line.trim().split_once(':').filter(|_| data && indented) else {
                continue;
            };
            // `kind:` may stand below `data:`.
            if !secret && !text.lines().any(|line| line.trim_end() == "kind: Secret") {
                continue;
            }
            let lower = name.to_ascii_lowercase();
            if !["signoz", "ingestion", "otel", "key"].iter().any(|part| lower.contains(part)) {
                continue;
            }
            let Some(bytes) = decode(value.trim().trim_matches(['"', '\''])) else {
                continue;
            };
            seen = true;
            if matches!(bytes.last(), Some(b'\n' | b'\r')) {
                let source = format!("{}:{}", file.path.display(), index + 1);
                return Failure::new(format!("`{name}` in {source} ends in a line break"))
                    .remedy(format!(
                        "put the output of `printf %s \"$KEY\" | base64 -w0` behind `{name}:` in {source}, apply it, and restart the pods"
                    ))
                    .because([Evidence::new(source, format!("{name}: a line break is the last character"))])
                    .into();
            }
        }
    }
    if seen {
        Verdict::Pass("no value ends in a line break".to_owned())
    } else {
        Verdict::Skip("no manifest holds a secret with a key".to_owned())
    }
}

/// Standard base64 (RFC 4648); `None` for anything else.
fn decode(text: &str) -> Option<Vec<u8>> {
    let plain = text.trim_end_matches('=');
    if plain.is_empty() || !text.len().is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::with_capacity(plain.len());
    let (mut bits, mut held) = (0_u32, 0);
    for byte in plain.bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(bytes)
}
