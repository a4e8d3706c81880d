//! Asking one question after the other: what an asker is told, what it hands back, and waiting that a signal can end.
//!
//! May never decide what is asked, or whether an answer is right.

use crate::error::Signal;
use crate::wizard::question::{Choice, Kind};
use std::sync::mpsc::{self, Receiver, Sender};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

/// A question for a person.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// As it is asked.
    pub title: &'a str,
    /// What depends on it.
    pub help: &'a str,
    /// How it is answered.
    pub kind: Kind,
    /// What there is to choose from; empty for a text.
    pub choices: &'a [Choice],
    /// What an empty answer stands for: a choice's value, or a text.
    pub current: Option<&'a str>,
    /// It was asked a moment ago, and what was said then cannot be used.
    pub again: bool,
}

/// What the person said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A choice's value, or a text without white space around it.
    Answer(String),
    /// To the question before.
    Back,
}

/// Why nobody answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoReply {
    /// Ctrl-C, or a signal.
    Ended(Signal),
    /// There is nobody to ask, in one clause.
    Nobody(String),
}

/// Asks and tells, on standard error.
pub trait Asker {
    /// Asks until there is an answer; whether it is right is not its matter.
    ///
    /// # Errors
    /// When the person leaves, or there is nobody to ask.
    fn ask(&mut self, ask: &Ask<'_>) -> Result<Reply, NoReply>;

    /// Tells something that stays.
    fn say(&mut self, text: &str);

    /// Shows what has to keep its lines, such as a diff.
    fn show(&mut self, text: &str);
}

/// Waits for work on another thread, or for a signal, whichever comes first.
#[derive(Debug)]
pub struct Waiting<T> {
    sender: Sender<Woken<T>>,
    woken: Receiver<Woken<T>>,
}

#[derive(Debug)]
enum Woken<T> {
    Done(T),
    Ended(Signal),
}

impl<T: Send + 'static> Waiting<T> {
    /// Hears signals from now on.
    #[must_use]
    pub fn new(runtime: &Handle) -> Self {
        let (sender, woken) = mpsc::channel();
        let _inside = runtime.enter();
        for (kind, meaning) in [
            (SignalKind::interrupt(), Signal::Interrupt),
            (SignalKind::terminate(), Signal::Terminate),
            (SignalKind::hangup(), Signal::Terminate),
        ] {
            let Ok(mut heard) = signal(kind) else { continue };
            let sender = sender.clone();
            runtime.spawn(async move { while heard.recv().await.is_some() && sender.send(Woken::Ended(meaning)).is_ok() {} });
        }
        Self { sender, woken }
    }

    /// Does the work. After a signal its thread is left alone: the process is about to end.
    ///
    /// # Errors
    /// The signal, also one that came before.
    pub fn wait_for(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Signal> {
        let sender = self.sender.clone();
        std::thread::spawn(move || {
            // Nobody may be waiting any more.
            let _ = sender.send(Woken::Done(work()));
        });
        match self.woken.recv() {
            Ok(Woken::Done(done)) => Ok(done),
            Ok(Woken::Ended(signal)) => Err(signal),
            // Cannot be: a sender is ours.
            Err(_) => Err(Signal::Terminate),
        }
    }
}
