//! Prompts on a real terminal: the built program in a pseudo-terminal with an emulator behind it.

#![allow(clippy::unwrap_used)]

#[path = "support/program.rs"]
mod program;
#[path = "support/pty.rs"]
mod pty;
#[path = "support/standin.rs"]
mod standin;

use program::Program;
use pty::{SANE, Terminal};
use rustix::process::Signal;
use standin::StandIn;
use std::fs;
use std::process::Command;

const CANARY: &str = "canary-6f1e-4a52-9b0c";
const ENTER: &str = "\r";
const ESC: &str = "\x1b";
const DOWN: &str = "\x1b[B";
const CTRL_C: &str = "\x03";
const SIZE: (u16, u16) = (80, 24);

/// Prompts on a terminal, without the network.
fn prompts(program: &Program, flags: &[&str]) -> Terminal {
    let mut words = vec!["--plain", "--offline"];
    words.extend(flags);
    Terminal::start(&program.command(words), SIZE)
}

/// Types, and waits for what comes next; it must be new, since earlier questions are still in sight.
fn answer(terminal: &Terminal, keys: &str, next: &str) {
    terminal.send(keys);
    terminal.wait_for_new(next);
}

fn assert_no_key(terminal: &Terminal) {
    assert!(!terminal.all().contains("canary"), "the key is shown: {}", terminal.all());
}

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
    assert_eq!(stopped.exit(), 0, "{}", stopped.all());

    let resized = shell("trap 'stty size; exit 0' WINCH; stty size; while read -r line; do :; done");
    resized.wait_for("24 80");
    resized.resize(100, 30);
    resized.send("\r");
    resized.wait_for("30 100");
    assert_eq!(resized.exit(), 0);
}

#[test]
fn prompts_ask_everything_go_back_and_ask_again() {
    let shop = StandIn::new();
    let before = shop.picture();
    let program = shop.program();
    let terminal = prompts(&program, &[]);
    terminal.wait_for("SigNoz Cloud region?");
    terminal.wait_for("go on");
    answer(&terminal, &format!("{DOWN}{DOWN}{ENTER}"), "ingestion key? ");
    // A wrong one is named, never shown.
    answer(&terminal, "two words\r", "white space at character 4");
    terminal.wait_for_new("go on");
    answer(&terminal, ESC, "Cloud region?");
    // The answer is still marked.
    terminal.wait_for("> eu ");
    answer(&terminal, ENTER, "ingestion key? ");
    terminal.wait_for_new("go on");
    // With the line break that was copied along.
    terminal.paste(&format!("{CANARY}\r\n"));
    terminal.wait_for("******");
    answer(&terminal, ENTER, "Under which name");
    terminal.wait_for("(shop)");
    answer(&terminal, "till\r", "deployment environment");
    answer(&terminal, "staging\r", "Which releases");
    terminal.wait_for("opentelemetry-distro");
    answer(&terminal, ENTER, "How is the app started?");
    // Back over two questions: what was typed is there.
    answer(&terminal, ESC, "Which releases");
    answer(&terminal, ESC, "(staging)");
    answer(&terminal, ENTER, "Which releases");
    answer(&terminal, ENTER, "How is the app started?");
    answer(&terminal, ENTER, "nothing has been changed yet");
    terminal.wait_for("apply 8 steps");
    for words in [
        "till in staging",
        "ingest.eu.signoz.cloud",
        "workers are forked",
        "+ write the run script",
    ] {
        assert!(terminal.all().contains(words), "{words} in {}", terminal.all());
    }
    answer(&terminal, &format!("{DOWN}{ENTER}"), "+service-name = \"till\"");
    terminal.wait_for_new("nothing has been changed yet");
    answer(&terminal, &format!("{DOWN}{DOWN}{ENTER}"), "nothing has been changed yet");
    terminal.wait_for_new("go on");
    answer(&terminal, ESC, "How is the app started?");
    terminal.wait_for_new("go on");
    terminal.send(CTRL_C);
    assert_eq!(terminal.exit(), 130);
    terminal.assert_clean();
    terminal.wait_for("nothing was changed");
    assert_no_key(&terminal);
    assert_eq!(shop.picture(), before);
}

#[test]
fn prompts_set_up_look_again_and_take_it_back() {
    let shop = StandIn::new();
    let before = shop.picture();
    let program = shop.program();
    let flags = [
        "--region",
        "eu",
        "--service-name",
        "till",
        "--deployment-environment",
        "x",
        "--instrumentation",
        "pinned",
    ];
    let terminal = prompts(&program, &flags);
    terminal.wait_for("ingestion key?");
    answer(&terminal, &format!("{CANARY}\r"), "How is the app started?");
    answer(&terminal, ENTER, "apply 8 steps");
    terminal.send(ENTER);
    assert_eq!(terminal.exit(), 0, "{}", terminal.screen());
    terminal.assert_clean();
    assert!(terminal.screen().contains("done (exit code 0)"), "{}", terminal.screen());
    assert_no_key(&terminal);
    assert!(shop.read(".signoz/otel.env").contains(CANARY));

    let again = prompts(&program, &[]);
    again.wait_for("What shall be done?");
    again.wait_for("see what is right");
    answer(&again, ENTER, "nothing to do");
    again.wait_for("finish");
    again.send(ENTER);
    assert_eq!(again.exit(), 0, "{}", again.screen());
    again.assert_clean();

    // The answers are there to be changed, the key too, by nothing but its fingerprint.
    let change = prompts(&program, &[]);
    change.wait_for("What shall be done?");
    answer(&change, &format!("{DOWN}{ENTER}"), "Cloud region?");
    change.wait_for("> eu ");
    answer(&change, ENTER, "fingerprint");
    change.wait_for_new("go on");
    answer(&change, ENTER, "(till)");
    answer(&change, "kiosk\r", "(x)");
    // A space: none.
    answer(&change, " \r", "Which releases");
    answer(&change, ENTER, "How is the app started?");
    answer(&change, ENTER, "What shall be done with this plan?");
    change.wait_for("apply 2 steps");
    change.send(ENTER);
    assert_eq!(change.exit(), 0, "{}", change.screen());
    assert_no_key(&change);
    let answers = shop.read("signoz-setup.toml");
    assert!(
        answers.contains("kiosk") && !answers.contains("deployment-environment"),
        "{answers}"
    );

    let undo = prompts(&program, &[]);
    undo.wait_for("What shall be done?");
    undo.send(&format!("{DOWN}{DOWN}{ENTER}"));
    assert_eq!(undo.exit(), 0, "{}", undo.screen());
    undo.assert_clean();
    assert_eq!(shop.picture(), before);
}

#[test]
fn every_prompt_is_left_cleanly_by_ctrl_c_and_by_signals() {
    let shop = StandIn::new();
    let program = shop.program();
    let before = shop.picture();
    let region: &[&str] = &[];
    let key: &[&str] = &["--region", "eu"];
    let name: &[&str] = &["--endpoint", "http://127.0.0.1:9"];
    for (flags, keys, question) in [
        (region, "", "Cloud region?"),
        (key, "", "ingestion key?"),
        (name, ENTER, "Under which name"),
    ] {
        for (signal, code) in [
            (None, 130),
            (Some(Signal::TERM), 143),
            (Some(Signal::HUP), 143),
            (Some(Signal::INT), 130),
        ] {
            let terminal = prompts(&program, flags);
            if !keys.is_empty() {
                terminal.wait_for("go on");
                terminal.send(keys);
            }
            terminal.wait_for(question);
            terminal.wait_for_new("go on");
            match signal {
                Some(signal) => terminal.signal(signal),
                None => terminal.send(CTRL_C),
            }
            assert_eq!(terminal.exit(), code, "{question} {signal:?}: {}", terminal.screen());
            terminal.assert_clean();
            terminal.wait_for("nothing was changed");
        }
    }
    assert_eq!(shop.picture(), before);
}

#[test]
fn ctrl_c_while_steps_are_applied_puts_everything_back() {
    let shop = StandIn::new();
    let before = shop.picture();
    shop.close_the_gate();
    let flags = [
        "--region",
        "eu",
        "--service-name",
        "till",
        "--deployment-environment",
        "x",
        "--instrumentation",
        "pinned",
    ];
    for lines in [false, true] {
        let mut program = shop.program();
        if lines {
            program = program.env("ACCESSIBLE", "1");
        }
        let mut words = vec!["--plain", "-v", "--offline"];
        words.extend(flags);
        let terminal = Terminal::start(&program.command(words), SIZE);
        terminal.wait_for("ingestion key?");
        answer(&terminal, &format!("{CANARY}\r"), "How is the app started?");
        answer(&terminal, ENTER, "apply 8 steps");
        answer(&terminal, ENTER, "waiting at the gate");
        terminal.send(CTRL_C);
        assert_eq!(terminal.exit(), 130, "{}", terminal.screen());
        terminal.assert_clean();
        assert_no_key(&terminal);
        assert!(terminal.all().contains("put back"), "{}", terminal.all());
        assert_eq!(shop.picture(), before, "lines: {lines}");
    }
}

#[test]
fn plain_terminals_and_screen_readers_get_lines() {
    let shop = StandIn::new();
    for (name, value) in [("TERM", "dumb"), ("ACCESSIBLE", "1")] {
        let program = shop.program().env(name, value).env("NO_COLOR", "1");
        let terminal = Terminal::start(&program.command(["--offline"]), SIZE);
        terminal.wait_for("Number:");
        answer(&terminal, "?\r", "SigNoz shows it under");
        answer(&terminal, "3\r", "not shown: ");
        terminal.send(&format!("{CANARY}\r"));
        terminal.wait_for("Answer [shop]:");
        assert!(terminal.flags_now().echo, "an answer that may be seen is not");
        assert_no_key(&terminal);
        answer(&terminal, "<\r", "not shown:");
        assert!(terminal.all().contains("the key that is there already"), "{}", terminal.all());
        // At the secret question the terminal echoes nothing, and does again when it is left.
        let flags = terminal.flags_now();
        assert!(!flags.echo && flags.canonical && flags.signals, "{flags:?}");
        terminal.send(CTRL_C);
        assert_eq!(terminal.exit(), 130);
        terminal.assert_clean();
        assert!(!terminal.raw().contains(&0x1b), "{}", terminal.all());
        assert_no_key(&terminal);
    }
}

#[test]
fn a_secret_line_gives_the_echo_back_after_a_signal() {
    let shop = StandIn::new();
    let program = shop.program().env("ACCESSIBLE", "1");
    for (signal, code) in [(None, 130), (Some(Signal::TERM), 143), (Some(Signal::HUP), 143)] {
        let terminal = Terminal::start(&program.command(["--offline", "--region", "eu"]), SIZE);
        terminal.wait_for("not shown:");
        match signal {
            Some(signal) => terminal.signal(signal),
            // Half a key is no more to be seen than a whole one.
            None => terminal.send(&format!("{CANARY}{CTRL_C}")),
        }
        assert_eq!(terminal.exit(), code, "{}", terminal.screen());
        terminal.assert_clean();
        assert_no_key(&terminal);
    }
}

#[test]
fn json_has_standard_output_for_itself() {
    let shop = StandIn::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    let program = shop.program();
    let command = program.command(["--json", "--offline", "--region", "eu"]);
    let terminal = Terminal::start_with_stdout(&command, SIZE, Some(file.path()));
    terminal.wait_for("ingestion key?");
    terminal.wait_for("go on");
    answer(&terminal, &format!("{CANARY}\r"), "Under which name");
    terminal.send(CTRL_C);
    assert_eq!(terminal.exit(), 130);
    let text = fs::read_to_string(file.path()).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&document["outcome"], &document["exit_code"]), (&"interrupted".into(), &130.into()));
    assert_no_key(&terminal);
}
