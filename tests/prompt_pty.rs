//! Prompts on a real terminal: the built program in a pseudo-terminal with an emulator behind it.

#![allow(clippy::unwrap_used)]

#[path = "support/program.rs"]
mod program;
#[path = "support/pty.rs"]
mod pty;

use pty::{SANE, Terminal};
use rustix::process::Signal;
use std::process::Command;

fn shell(script: &str) -> Terminal {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).env("PATH", std::env::var("PATH").unwrap());
    Terminal::start(&command, (80, 24))
}

/// What the other tests rely on.
#[test]
fn the_harness_sees_what_a_program_leaves_behind() {
    let dirty = shell("printf '\\033[?1049h\\033[?25l\\033[?2004h'; stty raw -echo; exit 7");
    assert_eq!(dirty.exit(), 7);
    assert!(dirty.alternate_screen() && dirty.cursor_hidden() && dirty.bracketed_paste());
    let flags = dirty.flags();
    assert!(!flags.echo && !flags.canonical);

    let clean = shell("echo ready; read answer; echo \"<$answer>\"");
    clean.wait_for("ready");
    assert_eq!(clean.flags_now(), SANE);
    clean.send("yes\r");
    clean.wait_for_new("<yes>");
    assert_eq!(clean.exit(), 0);
    clean.assert_clean();

    let interrupted = shell("echo ready; read answer");
    interrupted.wait_for("ready");
    interrupted.send("\x03");
    assert_eq!(interrupted.exit(), 130);

    let ended = shell("echo ready; read answer");
    ended.wait_for("ready");
    ended.signal(Signal::TERM);
    assert_eq!(ended.exit(), 143);

    let stopped = shell("stty -echo; echo ready; read answer; stty echo; echo \"<$answer>\"");
    stopped.wait_for("ready");
    stopped.send("\x1a");
    stopped.wait_for("[stopped]");
    assert!(!stopped.flags_while_stopped().echo);
    stopped.go_on();
    stopped.send("again\r");
    stopped.wait_for("<again>");
    assert_eq!(stopped.exit(), 0);

    let resized = shell("trap 'stty size; exit' WINCH; stty size; while read -r line; do :; done");
    resized.wait_for("24 80");
    resized.resize(100, 30);
    resized.send("\r");
    resized.wait_for_new("30 100");
    assert_eq!(resized.exit(), 0);
}
