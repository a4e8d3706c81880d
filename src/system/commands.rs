//! Child processes: argv and never a shell string, an own process group, no standard input, a deadline.
//!
//! Whatever is started here is ended here: a dropped [`Running`] kills its whole group.

use super::Cancel;
use rustix::process::{Pid, Signal as Unix, kill_process_group, test_kill_process_group};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// A command to run.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Working folder.
    pub directory: Option<PathBuf>,
    /// Variables to set on top of ours.
    pub set: BTreeMap<String, String>,
    /// Variables to leave out.
    pub unset: Vec<String>,
    /// How long it may take before its group is killed.
    pub deadline: Duration,
    /// Runs to its end although the run was cancelled: a rollback must not be cut short by the signal that caused it.
    pub despite_cancel: bool,
}

impl Invocation {
    /// A command with a deadline of ten minutes in the current folder.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            directory: None,
            set: BTreeMap::new(),
            unset: Vec::new(),
            deadline: Duration::from_secs(600),
            despite_cancel: false,
        }
    }

    /// In a folder.
    #[must_use]
    pub fn within(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// With a variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.set.insert(name.into(), value.into());
        self
    }

    /// Without a variable.
    #[must_use]
    pub fn without(mut self, name: impl Into<String>) -> Self {
        self.unset.push(name.into());
        self
    }

    /// With another deadline.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// To its end, although the run was cancelled.
    #[must_use]
    pub const fn despite_cancel(mut self) -> Self {
        self.despite_cancel = true;
        self
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal, if one did.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Its deadline came first.
    pub timed_out: bool,
}

impl Finished {
    /// Exit code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0) && !self.timed_out
    }
}

/// Starts child processes.
pub trait Commands: Send + Sync {
    /// Runs to the end, handing each line (of both streams) to `line` as it comes.
    ///
    /// # Errors
    /// When the program cannot be started, or `Interrupted` when the run was cancelled.
    fn run(&self, invocation: &Invocation, line: &mut dyn FnMut(&str)) -> io::Result<Finished>;

    /// Starts and returns at once.
    ///
    /// # Errors
    /// When the program cannot be started.
    fn spawn(&self, invocation: &Invocation) -> io::Result<Running>;
}

/// A line of a child's output, with its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Standard output.
    Out(String),
    /// Standard error.
    Err(String),
}

impl Line {
    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Out(text) | Self::Err(text) => text,
        }
    }
}

/// A printed line as a terminal may show it: without escape sequences and control characters, tabs as spaces.
#[must_use]
pub fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // A CSI sequence ends with a letter; any other escape is dropped with its next character.
            if characters.next() == Some('[') {
                let _ = characters.find(char::is_ascii_alphabetic);
            }
        } else if character == '\t' {
            text.push(' ');
        } else if !character.is_control() {
            text.push(character);
        }
    }
    text
}

/// A started process group. Dropping it kills the group and reaps the child.
#[derive(Debug)]
pub struct Running {
    child: Child,
    group: Pid,
    lines: Receiver<Line>,
    status: Option<ExitStatus>,
}

impl Running {
    /// Process id of the first process, which is also the id of its group.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next line; `Ok(None)` when the time is up, `Err` when no more can come.
    ///
    /// # Errors
    /// `UnexpectedEof` when both streams are closed.
    pub fn line(&self, wait: Duration) -> io::Result<Option<Line>> {
        match self.lines.recv_timeout(wait) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The exit status, if the first process has ended.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.child.try_wait()?;
        }
        Ok(self.status)
    }

    /// Sends SIGTERM to the first process only, as a service manager does with a server that has its own workers.
    pub fn terminate(&self) {
        let _ = rustix::process::kill_process(self.group, Unix::TERM);
    }

    /// Sends SIGTERM to every process of the group.
    pub fn terminate_group(&self) {
        let _ = kill_process_group(self.group, Unix::TERM);
    }

    /// Kills every process of the group and reaps the first one.
    pub fn kill_group(&mut self) {
        let _ = kill_process_group(self.group, Unix::KILL);
        if self.status.is_none() {
            self.status = self.child.wait().ok();
        }
    }

    /// Whether any process of the group is still there.
    #[must_use]
    pub fn group_alive(&self) -> bool {
        test_kill_process_group(self.group).is_ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill_group();
    }
}

/// The real thing.
#[derive(Debug, Clone)]
pub struct RealCommands {
    cancel: Cancel,
    hidden: Vec<String>,
}

impl RealCommands {
    /// Commands that end when `cancel` is set.
    #[must_use]
    pub fn new(cancel: Cancel) -> Self {
        Self {
            cancel,
            hidden: Vec::new(),
        }
    }

    /// Also hides these variables from every child.
    #[must_use]
    pub fn hiding(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.hidden.extend(names);
        self
    }
}

/// How often a waiting loop looks at the cancel flag and the exit status.
const LOOK: Duration = Duration::from_millis(20);

impl Commands for RealCommands {
    fn run(&self, invocation: &Invocation, line: &mut dyn FnMut(&str)) -> io::Result<Finished> {
        let mut running = self.spawn(invocation)?;
        let end = Instant::now() + invocation.deadline;
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let mut take = |next: Line| {
            line(next.text());
            let (stream, text) = match next {
                Line::Out(text) => (&mut stdout, text),
                Line::Err(text) => (&mut stderr, text),
            };
            stream.push_str(&text);
            stream.push('\n');
        };
        let mut timed_out = false;
        loop {
            match running.line(LOOK) {
                Ok(Some(next)) => take(next),
                Ok(None) => {}
                // Both streams are closed: only the status is missing.
                Err(_) => {
                    if running.ended()?.is_some() {
                        break;
                    }
                    std::thread::park_timeout(LOOK);
                }
            }
            if self.cancel.signal().is_some() && !invocation.despite_cancel {
                running.kill_group();
                return Err(io::ErrorKind::Interrupted.into());
            }
            if Instant::now() >= end {
                timed_out = true;
                running.kill_group();
                break;
            }
            // A grandchild may hold the streams open for ever; the command itself is over.
            if running.ended()?.is_some() {
                while let Ok(Some(next)) = running.line(LOOK) {
                    take(next);
                }
                break;
            }
        }
        let status = running.ended()?;
        Ok(Finished {
            code: status.and_then(|s| s.code()),
            signal: status.and_then(|s| s.signal()),
            stdout,
            stderr,
            timed_out,
        })
    }

    fn spawn(&self, invocation: &Invocation) -> io::Result<Running> {
        let (program, arguments) = invocation.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        // Credentials of this program are for this program: no child sees them in its environment.
        command.env_remove("SIGNOZ_INGESTION_KEY").env_remove("SIGNOZ_API_KEY");
        for name in self.hidden.iter().chain(&invocation.unset) {
            command.env_remove(name);
        }
        command.envs(&invocation.set);
        if let Some(directory) = &invocation.directory {
            command.current_dir(directory);
        }
        let mut child = start(&mut command)?;
        let (sender, lines) = mpsc::channel();
        if let Some(stream) = child.stdout.take() {
            forward(stream, sender.clone(), Line::Out);
        }
        if let Some(stream) = child.stderr.take() {
            forward(stream, sender, Line::Err);
        }
        let group = Pid::from_child(&child);
        Ok(Running {
            child,
            group,
            lines,
            status: None,
        })
    }
}

/// Starts it. A script that was written a moment ago is busy while another thread's child, between fork and exec, still
/// holds the descriptor that it was written through; that passes by itself (golang/go#22315 tells the story).
fn start(command: &mut Command) -> io::Result<Child> {
    let end = Instant::now() + Duration::from_secs(2);
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && Instant::now() < end => std::thread::park_timeout(LOOK),
            other => return other,
        }
    }
}

fn forward(stream: impl Read + Send + 'static, lines: mpsc::Sender<Line>, kind: fn(String) -> Line) {
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut bytes = Vec::new();
        while matches!(reader.read_until(b'\n', &mut bytes), Ok(read) if read > 0) {
            while matches!(bytes.last(), Some(b'\n' | b'\r')) {
                bytes.pop();
            }
            if lines.send(kind(String::from_utf8_lossy(&bytes).into_owned())).is_err() {
                break;
            }
            bytes.clear();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(invocation: &Invocation) -> Finished {
        RealCommands::new(Cancel::default()).run(invocation, &mut |_| {}).unwrap()
    }

    #[test]
    fn both_streams_and_the_code_are_seen() {
        let finished = run(&Invocation::new(["sh", "-c", "echo out; echo err >&2; exit 3"]));
        assert_eq!(
            (finished.code, finished.stdout.as_str(), finished.stderr.as_str()),
            (Some(3), "out\n", "err\n")
        );
    }

    #[test]
    fn a_deadline_kills_the_whole_group() {
        let finished = run(&Invocation::new(["sh", "-c", "sleep 1000 & echo $!; wait"]).deadline(Duration::from_millis(300)));
        assert!(finished.timed_out);
        let grandchild: i32 = finished.stdout.trim().parse().unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while rustix::process::test_kill_process(Pid::from_raw(grandchild).unwrap()).is_ok() && !zombie(grandchild) {
            assert!(Instant::now() < end, "the grandchild still runs");
            std::thread::yield_now();
        }
    }

    fn zombie(pid: i32) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    }

    #[test]
    fn cancelling_ends_it() {
        let cancel = Cancel::default();
        cancel.set(crate::error::Signal::Interrupt);
        let error = RealCommands::new(cancel)
            .run(&Invocation::new(["sleep", "1000"]), &mut |_| {})
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }
}
