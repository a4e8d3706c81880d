//! The built program on a terminal of its own: typed to, looked at, waited for by what it shows, never by the clock.
//!
//! Between the terminal and the program stands a shell with job control, as in front of a person: Ctrl-C and Ctrl-Z reach
//! the program's process group only, and the terminal's settings can be looked at when the program is gone. (Were the program
//! itself the session's leader, the kernel would reset them at its end, and nothing left behind could ever be seen.)
#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "each test file uses its part")]

use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// How long anything is waited for, unless a test says otherwise.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Starts its arguments as a job, notes the terminal's settings when that job has ended, and stays a shell while it is stopped.
/// `$0` is the file for the settings, `$1` the program `stty`.
const SHELL: &str = r#"
stty=$1; shift
trap : INT TERM HUP
set -m
"$@"
code=$?
while [ "$code" -eq 148 ] || [ "$code" -eq 146 ]; do
  "$stty" -a > "$0.stopped"
  printf '[stopped]\n'
  read -r _
  fg > /dev/null
  code=$?
done
"$stty" -a > "$0"
exit "$code"
"#;

/// A program on a terminal. Dropping it ends the program.
pub struct Terminal {
    shared: Arc<Shared>,
    master: Box<dyn MasterPty + Send>,
    writer: Arc<Mutex<Box<dyn Write + Send>>>,
    shell: Pid,
    notes: tempfile::TempDir,
}

struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
}

/// What a terminal emulator makes of the program's output.
pub struct Seen {
    parser: vt100::Parser<Queries>,
    raw: Vec<u8>,
    /// Length of `raw` when something was typed last.
    typed_at: usize,
    /// No more output can come.
    closed: bool,
    exit: Option<i32>,
}

/// Questions of the program to its terminal, and the answers that a real one would give.
#[derive(Default)]
struct Queries(Vec<u8>);

impl vt100::Callbacks for Queries {
    fn unhandled_csi(&mut self, screen: &mut vt100::Screen, i1: Option<u8>, _: Option<u8>, params: &[&[u16]], c: char) {
        match (i1, params, c) {
            (None, [[6]], 'n') => {
                let (row, column) = screen.cursor_position();
                let _ = write!(self.0, "\x1b[{};{}R", row + 1, column + 1);
            }
            (None, [] | [[0]], 'c') => self.0.extend(b"\x1b[?6c"),
            _ => {}
        }
    }
}

impl Seen {
    /// The visible screen as text, one line for each row.
    pub fn screen(&self) -> String {
        let screen = self.parser.screen();
        let rows: Vec<String> = screen.rows(0, screen.size().1.get()).map(|row| row.trim_end().to_owned()).collect();
        rows.join("\n")
    }

    /// The emulator's screen, with cells and colours.
    pub fn cells(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// What was printed since something was typed last, without escape sequences.
    pub fn since_typed(&self) -> String {
        plain(&self.raw[self.typed_at..])
    }

    /// Everything that was printed, without escape sequences.
    pub fn all(&self) -> String {
        plain(&self.raw)
    }
}

/// The terminal's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags {
    /// What is typed is shown.
    pub echo: bool,
    /// Input comes in lines.
    pub canonical: bool,
    /// Ctrl-C is a signal.
    pub signals: bool,
}

/// As a shell leaves them.
pub const SANE: Flags = Flags {
    echo: true,
    canonical: true,
    signals: true,
};

impl Terminal {
    /// Starts a program with its environment, in its folder, on a terminal with so many columns and rows.
    pub fn start(command: &Command, size: (u16, u16)) -> Self {
        Self::start_with_stdout(command, size, None)
    }

    /// The same, with standard output in a file.
    pub fn start_with_stdout(command: &Command, size: (u16, u16), stdout: Option<&Path>) -> Self {
        let notes = tempfile::tempdir().unwrap();
        let pty = native_pty_system().openpty(pty_size(size)).unwrap();
        let mut builder = CommandBuilder::new("/bin/sh");
        let shell = match stdout {
            Some(path) => SHELL.replace("\"$@\"\ncode", &format!("\"$@\" > '{}'\ncode", path.display())),
            None => SHELL.to_owned(),
        };
        builder.args(["-c", &shell]);
        builder.arg(notes.path().join("settings"));
        builder.arg(which::which("stty").unwrap());
        builder.arg(command.get_program());
        builder.args(command.get_args());
        builder.env_clear();
        builder.env("TERM", "xterm-256color");
        builder.env("LANG", "C.UTF-8");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => builder.env(name, value),
                None => builder.env_remove(name),
            }
        }
        builder.cwd(command.get_current_dir().unwrap_or(Path::new("/")));
        let mut child = pty.slave.spawn_command(builder).unwrap();
        drop(pty.slave);
        let shell = Pid::from_raw(i32::try_from(child.process_id().unwrap()).unwrap()).unwrap();
        let shared = Arc::new(Shared {
            seen: Mutex::new(Seen {
                parser: vt100::Parser::new_with_callbacks(cells(size.1), cells(size.0), 0, Queries::default()),
                raw: Vec::new(),
                typed_at: 0,
                closed: false,
                exit: None,
            }),
            changed: Condvar::new(),
        });
        let writer = Arc::new(Mutex::new(pty.master.take_writer().unwrap()));
        let reader = pty.master.try_clone_reader().unwrap();
        std::thread::spawn({
            let (shared, writer) = (Arc::clone(&shared), Arc::clone(&writer));
            move || watch(reader, &shared, &writer)
        });
        std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let status = child.wait().unwrap();
                let code = i32::try_from(status.exit_code()).unwrap();
                shared.update(|seen| seen.exit = Some(status.signal().map_or(code, |_| -1)));
            }
        });
        Self {
            shared,
            master: pty.master,
            writer,
            shell,
            notes,
        }
    }

    /// Types.
    pub fn send(&self, text: &str) {
        self.shared.lock().mark();
        let mut writer = self.writer.lock().unwrap();
        writer.write_all(text.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    /// Pastes as a terminal does: bracketed when the program asked for that, otherwise as if it were typed.
    pub fn paste(&self, text: &str) {
        if self.bracketed_paste() {
            self.send(&format!("\x1b[200~{text}\x1b[201~"));
        } else {
            self.send(&text.replace("\r\n", "\r").replace('\n', "\r"));
        }
    }

    /// Gives the window another size: columns, rows.
    pub fn resize(&self, columns: u16, rows: u16) {
        // The emulator first: what the program draws for the new size must not meet the old one.
        let mut seen = self.shared.lock();
        seen.mark();
        seen.parser.set_size(cells(rows), cells(columns));
        drop(seen);
        self.master.resize(pty_size((columns, rows))).unwrap();
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.foreground().unwrap(), signal).unwrap();
    }

    /// Lets a stopped program (`[stopped]` is on the screen) go on, as `fg` does.
    pub fn go_on(&self) {
        self.send("\n");
    }

    /// Waits until the screen shows a text.
    pub fn wait_for(&self, text: &str) {
        self.wait_for_within(text, DEADLINE);
    }

    /// The same, with another deadline.
    pub fn wait_for_within(&self, text: &str, deadline: Duration) {
        self.wait_until(&format!("`{text}` on the screen"), deadline, |seen| seen.screen().contains(text));
    }

    /// Waits until a text has been printed since something was typed last; it may have been scrolled away or redrawn since.
    pub fn wait_for_new(&self, text: &str) {
        self.wait_until(&format!("`{text}` in what was printed"), DEADLINE, |seen| {
            seen.since_typed().contains(text)
        });
    }

    /// Waits until the screen shows a text no more.
    pub fn wait_gone(&self, text: &str) {
        self.wait_until(&format!("`{text}` gone"), DEADLINE, |seen| !seen.screen().contains(text));
    }

    /// Waits until something holds; panics with the screen when it does not come to pass, or cannot any more.
    pub fn wait_until(&self, what: &str, deadline: Duration, holds: impl Fn(&Seen) -> bool) {
        let seen = self.shared.lock();
        let pending = |seen: &mut Seen| !(holds(seen) || seen.closed && seen.exit.is_some());
        let (seen, _) = self.shared.changed.wait_timeout_while(seen, deadline, pending).unwrap();
        if !holds(&seen) {
            let exit = seen
                .exit
                .map(|code| format!(" (the program has ended: {code})"))
                .unwrap_or_default();
            let frame = "-".repeat(usize::from(seen.cells().size().1.get()));
            panic!("{what} was waited for in vain{exit}\n{frame}\n{}\n{frame}\n", seen.screen());
        }
    }

    /// Waits for the program's end, its last output included; the exit code as a shell sees it: 128 and more after a signal.
    pub fn exit(&self) -> i32 {
        self.wait_until("the end of the program", DEADLINE, |seen| seen.closed && seen.exit.is_some());
        self.shared.lock().exit.unwrap()
    }

    /// The terminal's settings as the program left them. Only after [`Terminal::exit`].
    pub fn flags(&self) -> Flags {
        self.noted("settings")
    }

    /// The terminal's settings while the program was stopped. Only after `[stopped]` was shown.
    pub fn flags_while_stopped(&self) -> Flags {
        self.noted("settings.stopped")
    }

    /// The terminal's settings as they are now.
    pub fn flags_now(&self) -> Flags {
        use rustix::fs::{Mode, OFlags};
        use rustix::termios::LocalModes;
        let path = self.master.tty_name().unwrap();
        let slave = rustix::fs::open(path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let modes = rustix::termios::tcgetattr(slave).unwrap().local_modes;
        Flags {
            echo: modes.contains(LocalModes::ECHO),
            canonical: modes.contains(LocalModes::ICANON),
            signals: modes.contains(LocalModes::ISIG),
        }
    }

    /// Whether the program has the other screen.
    pub fn alternate_screen(&self) -> bool {
        self.shared.lock().cells().alternate_screen()
    }

    /// Whether the cursor is hidden.
    pub fn cursor_hidden(&self) -> bool {
        self.shared.lock().cells().hide_cursor()
    }

    /// Whether pastes are bracketed.
    pub fn bracketed_paste(&self) -> bool {
        self.shared.lock().cells().bracketed_paste()
    }

    /// Fails unless the terminal is as a shell expects it: settings, screen, cursor, paste. Only after [`Terminal::exit`].
    pub fn assert_clean(&self) {
        assert_eq!(self.flags(), SANE, "the terminal's settings");
        assert!(!self.alternate_screen(), "the other screen is still on");
        assert!(!self.cursor_hidden(), "the cursor is still hidden");
        assert!(!self.bracketed_paste(), "pastes are still bracketed");
    }

    /// The visible screen.
    pub fn screen(&self) -> String {
        self.shared.lock().screen()
    }

    /// Everything that was printed, without escape sequences.
    pub fn all(&self) -> String {
        self.shared.lock().all()
    }

    /// Every byte that was printed.
    pub fn raw(&self) -> Vec<u8> {
        self.shared.lock().raw.clone()
    }

    /// The process group that the terminal talks to: the program's, while it runs.
    fn foreground(&self) -> Option<Pid> {
        Pid::from_raw(self.master.process_group_leader()?)
    }

    fn noted(&self, name: &str) -> Flags {
        let text = std::fs::read_to_string(self.notes.path().join(name)).unwrap();
        let on = |name: &str| {
            let mut words = text.split(|character: char| character.is_whitespace() || character == ';');
            words.any(|word| word == name)
        };
        Flags {
            echo: on("echo"),
            canonical: on("icanon"),
            signals: on("isig"),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.shared.lock().exit.is_some() {
            return;
        }
        if let Some(group) = self.foreground() {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = kill_process(self.shell, Signal::KILL);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        // A test that panicked while it looked has said enough.
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn update<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> T {
        let done = change(&mut self.lock());
        self.changed.notify_all();
        done
    }
}

impl Seen {
    fn mark(&mut self) {
        self.typed_at = self.raw.len();
    }
}

/// Feeds the emulator until no process has the terminal open any more.
fn watch(mut reader: Box<dyn Read + Send>, shared: &Shared, writer: &Mutex<Box<dyn Write + Send>>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = reader.read(&mut buffer) {
        let answers = shared.update(|seen| {
            seen.raw.extend(&buffer[..length]);
            seen.parser.process(&buffer[..length]);
            std::mem::take(&mut seen.parser.callbacks_mut().0)
        });
        if !answers.is_empty() {
            let _ = writer.lock().unwrap().write_all(&answers);
        }
    }
    shared.update(|seen| seen.closed = true);
}

fn pty_size((cols, rows): (u16, u16)) -> PtySize {
    PtySize {
        rows,
        cols,
        ..PtySize::default()
    }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).unwrap()
}

/// Output without escape sequences; line ends as `\n`.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\x1b' => match characters.next() {
                Some('[') => {
                    let _ = characters.find(|character| ('@'..='~').contains(character));
                }
                Some(']') => {
                    let _ = characters.find(|character| *character == '\x07');
                }
                _ => {}
            },
            '\r' => {}
            character => plain.push(character),
        }
    }
    plain
}
