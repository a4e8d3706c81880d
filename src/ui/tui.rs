//! The full screen's event loop: keys and messages in, frames out; redrawn when something has happened, never by the clock,
//! except while something is at work.
//!
//! May never decide: what a message does is the wizard's matter, what an effect does is the caller's.

use super::keys::{self, Heard};
use super::terminal::Fullscreen;
use super::theme::Theme;
use super::view;
use crate::error::Signal;
use crate::wizard::{Effect, Input, Leaving, Msg, Wizard};
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use crossterm::{event, execute};
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How often something that is at work moves.
const BEAT: Duration = Duration::from_millis(120);

/// Messages that are taken in before the screen is drawn again.
const AT_ONCE: usize = 256;

/// What wakes the loop.
#[derive(Debug)]
enum Wake {
    Msg(Box<Msg>),
    Heard(Heard),
    /// The process goes on after it was stopped.
    Resumed,
}

/// Sends messages to the wizard from any thread.
#[derive(Debug, Clone)]
pub struct Post(Sender<Wake>);

impl Post {
    /// Sends; a wizard that is gone needs no messages.
    pub fn send(&self, msg: Msg) {
        let _ = self.0.send(Wake::Msg(Box::new(msg)));
    }
}

/// The loop before it runs: what is sent to it meanwhile waits.
#[derive(Debug)]
pub struct Loop {
    sender: Sender<Wake>,
    wakes: Receiver<Wake>,
}

impl Default for Loop {
    fn default() -> Self {
        let (sender, wakes) = mpsc::channel();
        Self { sender, wakes }
    }
}

impl Loop {
    /// For those who do the wizard's work.
    #[must_use]
    pub fn post(&self) -> Post {
        Post(self.sender.clone())
    }

    /// Shows the wizard until it leaves.
    ///
    /// # Errors
    /// When the terminal cannot be taken over or drawn on.
    pub fn run(
        self,
        runtime: &tokio::runtime::Handle,
        theme: &Theme,
        mut wizard: Wizard,
        effects: Vec<Effect>,
        perform: &mut dyn FnMut(Effect),
    ) -> io::Result<Leaving> {
        let mut screen = Fullscreen::enter()?;
        let size = screen.terminal().size()?;
        let _ = wizard.update(Msg::Input(Input::Resize(size.width, size.height)));
        // The first frame before the first work: whoever waits sees something.
        draw(&mut screen, theme, &mut wizard)?;
        runtime.spawn(listen_to_signals(self.sender.clone()));
        let keyboard = self.sender.clone();
        std::thread::spawn(move || listen_to_keyboard(&keyboard));
        for effect in effects {
            perform(effect);
        }
        loop {
            let first = if wizard.is_busy() {
                match self.wakes.recv_timeout(BEAT) {
                    Err(RecvTimeoutError::Timeout) => Some(Wake::Msg(Box::new(Msg::Tick))),
                    other => other.ok(),
                }
            } else {
                self.wakes.recv().ok()
            };
            for wake in first.into_iter().chain(self.wakes.try_iter()).take(AT_ONCE) {
                let msg = match wake {
                    Wake::Msg(msg) => *msg,
                    Wake::Heard(Heard::Input(input)) => Msg::Input(input),
                    Wake::Heard(Heard::Suspend) => {
                        screen.suspend()?;
                        size_of(&mut screen)?
                    }
                    Wake::Heard(Heard::Redraw) | Wake::Resumed => {
                        screen.resume()?;
                        size_of(&mut screen)?
                    }
                };
                for effect in wizard.update(msg) {
                    match effect {
                        Effect::Leave(leaving) => return Ok(leaving),
                        other => perform(other),
                    }
                }
            }
            draw(&mut screen, theme, &mut wizard)?;
        }
    }
}

fn size_of(screen: &mut Fullscreen) -> io::Result<Msg> {
    let size = screen.terminal().size()?;
    Ok(Msg::Input(Input::Resize(size.width, size.height)))
}

/// One frame, shown by the terminal at once.
fn draw(screen: &mut Fullscreen, theme: &Theme, wizard: &mut Wizard) -> io::Result<()> {
    execute!(io::stdout(), BeginSynchronizedUpdate)?;
    let mut limit = 0;
    let drawn = screen.terminal().draw(|frame| limit = view::draw(wizard, theme, frame)).map(|_| ());
    execute!(io::stdout(), EndSynchronizedUpdate)?;
    wizard.scroll_limit = limit;
    drawn
}

fn listen_to_keyboard(sender: &Sender<Wake>) {
    loop {
        match event::read() {
            Ok(event) => {
                let Some(heard) = keys::translate(event) else { continue };
                if sender.send(Wake::Heard(heard)).is_err() {
                    return;
                }
            }
            // The terminal is gone.
            Err(_) => {
                let _ = sender.send(Wake::Msg(Box::new(Msg::Ended(Signal::Terminate))));
                return;
            }
        }
    }
}

async fn listen_to_signals(sender: Sender<Wake>) {
    let go_on = SignalKind::from_raw(rustix::process::Signal::CONT.as_raw());
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hang_up), Ok(mut go_on)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
        signal(go_on),
    ) else {
        return;
    };
    loop {
        let wake = tokio::select! {
            _ = interrupt.recv() => Wake::Msg(Box::new(Msg::Ended(Signal::Interrupt))),
            _ = terminate.recv() => Wake::Msg(Box::new(Msg::Ended(Signal::Terminate))),
            _ = hang_up.recv() => Wake::Msg(Box::new(Msg::Ended(Signal::Terminate))),
            _ = go_on.recv() => Wake::Resumed,
        };
        if sender.send(wake).is_err() {
            return;
        }
    }
}
