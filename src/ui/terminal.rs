//! The terminal, taken over and given back: raw mode, the other screen, bracketed paste, the cursor.
//!
//! May never leave it dirty: not after an error, a panic, a signal, or Ctrl-Z.

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use std::io::{self, Stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ThreadId;

/// Whether this process has taken the terminal over and not yet given it back.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal while it is ours. Dropping it gives it back.
#[derive(Debug)]
pub struct Fullscreen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Fullscreen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When standard output is no terminal; it is left as it was.
    pub fn enter() -> io::Result<Self> {
        give_back_on_panic();
        take()?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout())).inspect_err(|_| give_back())?;
        Ok(Self { terminal })
    }

    /// The terminal to draw on.
    pub fn terminal(&mut self) -> &mut Terminal<CrosstermBackend<Stdout>> {
        &mut self.terminal
    }

    /// Gives it back and stops this process's whole group, as a shell's job; takes it over again when the job goes on.
    /// Where no shell could let it go on, the kernel ignores the stop.
    ///
    /// # Errors
    /// When it cannot be taken over again.
    pub fn suspend(&mut self) -> io::Result<()> {
        give_back();
        let _ = rustix::process::kill_current_process_group(rustix::process::Signal::TSTP);
        self.resume()
    }

    /// Takes it over again, whatever a shell did to it meanwhile, and draws anew.
    ///
    /// # Errors
    /// When it cannot be taken over again.
    pub fn resume(&mut self) -> io::Result<()> {
        take()?;
        // Not `clear`: it asks the terminal where the cursor is, and the keyboard's thread would eat the answer.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }
}

impl Drop for Fullscreen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<()> {
    // First, so that what is half taken is given back.
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()
        .and_then(|()| execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide))
        .inspect_err(|_| give_back())
}

/// Best effort: there is nothing to do about a terminal that is gone.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
    }
}

/// A panic's message belongs on the normal screen. Other threads' panics are reported by whoever waits for them.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    let owner: ThreadId = std::thread::current().id();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !TAKEN.load(Ordering::SeqCst) {
                before(panic);
            } else if std::thread::current().id() == owner {
                give_back();
                before(panic);
            }
        }));
    });
}
