//! Processes, units, marks of containers, and files that are made to be in the way.

use super::cases::FLASK;
use super::environments::tools;
use super::support::{Scene, lines, sources, write};
use signoz_setup::domain::detection::{ServerKind, StartMethod};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

#[test]
fn running_processes_come_first_and_workers_are_counted_not_listed() {
    let scene = Scene::with(&[
        ("app.py", FLASK),
        ("Procfile", "web: gunicorn app:app --workers 2\n"),
        ("main.py", "import uvicorn\nuvicorn.run('x:y')\n"),
    ]);
    let (project, env) = (scene.project(), scene.folder.path().join("env"));
    scene.environment(&env, "3.11.7", "", &[]);
    let python = env.join("bin/python").display().to_string();
    let gunicorn = env.join("bin/gunicorn").display().to_string();
    let other = scene.home();
    scene.process(1, 0, &["init"], &other, &[]);
    let argv = [python.as_str(), &gunicorn, "app:app", "--workers", "2"];
    for (pid, parent) in [(10, 1), (11, 10), (12, 10)] {
        scene.process(
            pid,
            parent,
            &argv,
            &project,
            &[("OTEL_TRACES_SAMPLER", "always_off"), ("SECRET", "canary")],
        );
    }
    scene.process(
        20,
        1,
        &[&python, &env.join("bin/uvicorn").display().to_string(), "x:y", "--workers", "3"],
        &project,
        &[],
    );
    scene.process(
        21,
        20,
        &[
            &python,
            "-c",
            "from multiprocessing.spawn import spawn_main; spawn_main()",
            "--multiprocessing-fork",
        ],
        &project,
        &[],
    );
    scene.process(30, 1, &["gunicorn: master [shop.wsgi]"], &project, &[]);
    scene.process(31, 30, &["gunicorn: worker [shop.wsgi]"], &project, &[]);
    scene.process(
        40,
        1,
        &["[celeryd: celery@host:MainProcess] -active- (-A shop worker -c 2)"],
        &project,
        &[],
    );
    // Neighbours that are not the app: another folder, a tool, a shell in front, another person's script.
    scene.process(50, 1, &argv, &other, &[]);
    scene.process(51, 1, &[&python, "-m", "pytest"], &project, &[]);
    scene.process(52, 1, &["sh", "-c", "gunicorn app:app"], &project, &[]);
    scene.process(53, 1, &["python3", "/opt/editor/language_server.py"], &project, &[]);
    scene.process(
        54,
        1,
        &["python", "main.py"],
        &project,
        &[("PATH", env.join("bin").to_str().unwrap())],
    );
    let detection = scene.detect();
    let found = lines(&detection);
    for expected in [
        &format!("server gunicorn fork 2 `{gunicorn} app:app --workers 2` <- pid 10, Procfile:1"),
        "server uvicorn spawn 3",
        "server gunicorn fork 1 `gunicorn shop.wsgi --workers 1` <- pid 30",
        "server celery fork 2 `celery -A shop worker -c 2` <- pid 40",
        "server python single 1 `python main.py` <- pid 54, main.py:2",
        "hazard config.left-over-environment <- pid 10",
    ] {
        assert!(
            found.iter().any(|line| line.starts_with(expected)),
            "{expected}\n{}",
            found.join("\n")
        );
    }
    assert_eq!(detection.servers.len(), 5, "{}", found.join("\n"));
    let fact = &detection.servers[0].because[0].fact;
    assert!(fact.ends_with("(2 child processes)"), "{fact}");
    let python = detection.python.unwrap();
    assert_eq!(python.virtualenv, Some(env));
    assert!(sources(&python.because).contains("pid 10"));
}

#[test]
fn a_real_gunicorn_is_found_by_its_process() {
    let mut scene = Scene::with(&[("app.py", "def app(environ, start):\n    start('200 OK', [])\n    return [b'ok']\n")]);
    scene.real_machine = true;
    let mut command = Command::new(tools().join("gunicorn"));
    command
        .args(["app:app", "--workers", "2", "--bind", "127.0.0.1:0", "--preload"])
        .current_dir(scene.project())
        .env("HOME", scene.home())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Gunicorn says on standard error when each worker has started.
    let log = std::io::BufReader::new(child.stderr.take().unwrap());
    let booted = std::io::BufRead::lines(log)
        .map_while(Result::ok)
        .filter(|line| line.contains("Booting worker"))
        .take(2)
        .count();
    let detection = scene.detect();
    let pid = child.id();
    // The master ends its workers only when it is asked politely.
    let master = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(master, rustix::process::Signal::TERM).unwrap();
    child.wait().unwrap();
    assert_eq!(booted, 2);
    let server = &detection.servers[0];
    assert_eq!(
        (server.kind, server.start, server.workers, server.preload),
        (ServerKind::Gunicorn, StartMethod::Fork, Some(2), true)
    );
    assert_eq!(server.because[0].source, format!("pid {pid}"));
    assert!(
        server.because[0].fact.ends_with("(2 child processes)"),
        "{}",
        server.because[0].fact
    );
    assert_eq!(server.command[1..3], ["app:app", "--workers"]);
    assert_eq!(detection.servers.len(), 1);
    let python = detection.python.unwrap();
    assert_eq!(python.virtualenv.as_deref(), tools().parent());
    assert!(detection.installed.contains_key("gunicorn"));
}

#[test]
fn units_and_supervisor_of_the_machine_count_when_they_point_here() {
    let scene = Scene::with(&[("app.py", "")]);
    let project = scene.project().display().to_string();
    let unit = scene.root().join("etc/systemd/system/shop.service");
    write(
        &unit,
        &format!("[Service]\nWorkingDirectory={project}\nExecStart=/usr/bin/gunicorn app:app\n"),
    );
    write(
        &unit.with_file_name("shop.service.d/10-workers.conf"),
        "[Service]\nExecStart=\nExecStart=/usr/bin/gunicorn app:app -w 9\n",
    );
    write(
        &unit.with_file_name("other.service"),
        "[Service]\nWorkingDirectory=/srv/other\nExecStart=/usr/bin/gunicorn other:app\n",
    );
    let conf = scene.root().join("etc/supervisor/conf.d/jobs.conf");
    write(
        &conf,
        &format!("[program:jobs]\ndirectory={project}\ncommand=rq worker\n[program:x]\ncommand=gunicorn alien:app\n"),
    );
    let found = lines(&scene.detect());
    let servers: Vec<_> = found.iter().filter(|line| line.starts_with("server")).collect();
    assert_eq!(
        servers,
        [
            "server gunicorn fork 9 `/usr/bin/gunicorn app:app -w 9` <- /etc/systemd/system/shop.service.d/10-workers.conf:3",
            "server rq fork 1 `rq worker` <- /etc/supervisor/conf.d/jobs.conf:3",
        ]
    );
}

#[test]
fn marks_of_containers_clusters_and_the_host() {
    let scene = Scene::new();
    write(&scene.root().join("proc/1/comm"), "systemd\n");
    write(&scene.root().join("lib/ld-musl-x86_64.so.1"), "");
    let detection = scene.detect();
    assert_eq!(detection.host.init.as_deref(), Some("systemd"));
    assert_eq!(
        detection.host.libc.as_deref(),
        if cfg!(target_os = "linux") { Some("musl") } else { None }
    );
    assert!(detection.targets[0].because[0].fact.contains("systemd is PID 1"));
    assert!(detection.containers.is_empty() && detection.kubernetes.is_empty());

    write(&scene.root().join(".dockerenv"), "");
    write(&scene.root().join("proc/1/cgroup"), "0::/\n1:name=systemd:/kubepods/pod1\n");
    let detection = scene.detect();
    assert_eq!(sources(&detection.containers), "/.dockerenv, /proc/1/cgroup:2");
    assert!(
        lines(&detection)
            .iter()
            .any(|line| line.starts_with("target docker <- /.dockerenv"))
    );

    let scene = scene
        .set("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        .set("HTTPS_PROXY", "http://u:canary@proxy");
    fs::create_dir_all(scene.root().join("var/run/secrets/kubernetes.io/serviceaccount")).unwrap();
    let detection = scene.detect();
    assert!(
        lines(&detection)
            .iter()
            .any(|line| line.starts_with("target kubernetes <- KUBERNETES_SERVICE_HOST"))
    );
    assert_eq!(serde_json::to_value(detection.targets[0].kind).unwrap(), "kubernetes");
    assert_eq!(detection.host.proxies, ["HTTPS_PROXY"]);
    assert!(!serde_json::to_string(&detection).unwrap().contains("canary"));
}

#[test]
fn another_persons_home_under_sudo_is_told() {
    let scene = Scene::new().set("SUDO_USER", "ann").set("HOME", "/home/ann");
    let uid = rustix::process::geteuid().as_raw();
    write(
        &scene.root().join("etc/passwd"),
        &format!("x:x:4000000:1::/x:/bin/sh\nme:x:{uid}:0:me:/its/home:/bin/sh\n"),
    );
    assert_eq!(
        scene.detect().host.foreign_home,
        Some((PathBuf::from("/home/ann"), PathBuf::from("/its/home")))
    );
    let scene = scene.set("HOME", "/its/home/");
    assert_eq!(scene.detect().host.foreign_home, None);
}

#[test]
fn loops_pipes_and_unreadable_files_are_no_obstacle() {
    let scene = Scene::with(&[
        ("Procfile", "web: gunicorn app:app\n"),
        ("locked/Procfile", "web: gunicorn hidden:app\n"),
    ]);
    let project = scene.project();
    symlink(&project, project.join("self")).unwrap();
    symlink("loop", project.join("loop")).unwrap();
    symlink("/", project.join("outside")).unwrap();
    for name in [
        "Dockerfile",
        "requirements.txt",
        "pyproject.toml",
        "manage.py",
        ".env",
        ".python-version",
        ".pdm-python",
    ] {
        let mode = rustix::fs::Mode::from_raw_mode(0o644);
        rustix::fs::mknodat(rustix::fs::CWD, project.join(name), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }
    let big = fs::File::create(project.join("run.sh")).unwrap();
    big.set_len(3 << 20).unwrap();
    fs::create_dir(project.join("compose.yaml")).unwrap();
    fs::write(project.join("latin.sh"), b"# caf\xe9\ngunicorn latin:app\n").unwrap();
    fs::write(project.join("bad\u{1b}[2J.sh"), "gunicorn evil:app\n").unwrap();
    fs::set_permissions(project.join("locked"), fs::Permissions::from_mode(0o000)).unwrap();
    let detection = scene.detect();
    fs::set_permissions(project.join("locked"), fs::Permissions::from_mode(0o755)).unwrap();
    let found = lines(&detection);
    assert!(
        found.iter().any(|line| line.ends_with("`gunicorn app:app` <- Procfile:1")),
        "{found:?}"
    );
    assert!(
        found.iter().any(|line| line.ends_with("`gunicorn latin:app` <- latin.sh:2")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("note `run.sh` was not read: it is larger than 1024 KiB")),
        "{found:?}"
    );
    assert!(
        !found.iter().any(|line| line.contains("evil") || line.contains('\u{1b}')),
        "{found:?}"
    );
}

#[test]
fn a_project_that_does_not_exist_gives_a_note() {
    let scene = Scene::new();
    fs::remove_dir(scene.project()).unwrap();
    let detection = scene.detect();
    assert!(
        detection.notes.iter().any(|note| note.ends_with("is not a folder")),
        "{:?}",
        detection.notes
    );
}

#[test]
fn a_project_inside_a_repository_that_ignores_it_is_still_looked_at() {
    let scene = Scene::with(&[("Procfile", "web: gunicorn app:app\n")]);
    fs::create_dir(scene.folder.path().join(".git")).unwrap();
    write(&scene.folder.path().join(".gitignore"), "*\n");
    assert_eq!(scene.detect().servers.len(), 1);
}
