//! Progress on standard error: one moving line on a terminal, plain lines elsewhere.
//!
//! May never write to standard output, and never a secret: events carry none.

use super::marks;
use super::style::{self, DIM, paint};
use crate::domain::Event;
use crate::domain::plan::StepState;
use crate::domain::report::WorkerRow;
use std::io::Write;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// A line that moves.
    Live,
    /// Lines, one after the other.
    Lines,
    /// Nothing.
    Silent,
}

/// Shows events as they come. Dropping it clears the moving line.
#[derive(Debug)]
pub struct Progress {
    manner: Manner,
    verbose: bool,
    state: Arc<Mutex<State>>,
    ticker: Option<(Sender<()>, JoinHandle<()>)>,
}

#[derive(Debug)]
struct State {
    title: String,
    detail: String,
    since: Instant,
    drawn: bool,
}

const FRAMES: [&str; 4] = ["-", "\\", "|", "/"];
const TICK: Duration = Duration::from_millis(120);

impl Progress {
    /// Starts showing.
    #[must_use]
    pub fn start(manner: Manner, verbose: bool) -> Self {
        let state = Arc::new(Mutex::new(State {
            title: String::new(),
            detail: String::new(),
            since: Instant::now(),
            drawn: false,
        }));
        let ticker = (manner == Manner::Live).then(|| {
            let (stop, stopped) = mpsc::channel::<()>();
            let state = Arc::clone(&state);
            let thread = std::thread::spawn(move || {
                let mut frame = 0;
                while matches!(stopped.recv_timeout(TICK), Err(RecvTimeoutError::Timeout)) {
                    frame += 1;
                    draw(
                        &mut state.lock().unwrap_or_else(PoisonError::into_inner),
                        FRAMES[frame % FRAMES.len()],
                    );
                }
            });
            (stop, thread)
        });
        Self {
            manner,
            verbose,
            state,
            ticker,
        }
    }

    /// Takes an event.
    pub fn event(&self, event: &Event) {
        log(event);
        if self.manner == Manner::Silent {
            return;
        }
        match event {
            Event::Stage { title } => self.stage(title),
            Event::Step {
                title,
                state: StepState::Started,
                ..
            } => self.stage(title),
            Event::Step { title, state, .. } => self.line(&format!("{} {title}", style::step(*state))),
            Event::Line { text } if self.verbose => self.line(&format!("  {}", paint(DIM, text))),
            Event::Line { text } => self.detail(text),
            Event::Verified { stage, passed, detail } => {
                let mark = style::mark(if *passed { marks::GOOD } else { marks::BAD });
                self.line(&format!("  {mark} {stage}: {detail}"));
            }
            Event::Workers { rows } => self.detail(&workers(rows)),
            Event::Checking { title, .. } => self.stage(title),
            Event::Checked { .. } => {}
            Event::Warning { text } => self.line(&format!("{} {text}", style::mark(marks::CARE))),
        }
    }

    fn stage(&self, title: &str) {
        let mut state = self.lock();
        state.title = title.to_owned();
        state.detail.clear();
        state.since = Instant::now();
        drop(state);
        if self.manner == Manner::Lines {
            self.line(&format!("{} {title}", style::step(StepState::Started)));
        }
    }

    /// Takes the moving line away until the next stage begins: somebody is asked something.
    pub fn rest(&self) {
        let mut state = self.lock();
        clear(&mut state);
        state.title.clear();
        state.detail.clear();
    }

    fn detail(&self, text: &str) {
        self.lock().detail = text.to_owned();
    }

    /// Prints a line that stays.
    pub fn line(&self, text: &str) {
        let mut state = self.lock();
        clear(&mut state);
        let _ = writeln!(anstream::stderr(), "{text}");
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.ticker.take() {
            drop(stop);
            let _ = thread.join();
        }
        clear(&mut self.lock());
    }
}

fn workers(rows: &[WorkerRow]) -> String {
    rows.iter()
        .map(|row| format!("pid {}: {} requests, {} spans", row.pid, row.requests, row.unique_spans))
        .collect::<Vec<_>>()
        .join(" · ")
}

/// The moving line: what is done, for how long, and the tool's latest words, cut to the terminal's width.
fn draw(state: &mut State, frame: &str) {
    if state.title.is_empty() {
        return;
    }
    let seconds = state.since.elapsed().as_secs();
    let mut text = format!("{frame} {}", state.title);
    if seconds > 0 {
        text.push_str(&format!(" ({seconds} s)"));
    }
    if !state.detail.is_empty() {
        text.push_str(&format!("  {}", state.detail));
    }
    let width = width();
    let cut: String = text.chars().take(width.saturating_sub(1)).collect();
    let mut stderr = anstream::stderr();
    let _ = write!(stderr, "\r\x1b[2K{}", paint(DIM, cut));
    let _ = stderr.flush();
    state.drawn = true;
}

fn clear(state: &mut State) {
    if state.drawn {
        let mut stderr = anstream::stderr();
        let _ = write!(stderr, "\r\x1b[2K");
        let _ = stderr.flush();
        state.drawn = false;
    }
}

/// Columns of the terminal behind standard error, 80 when it does not say.
#[must_use]
pub fn width() -> usize {
    rustix::termios::tcgetwinsize(std::io::stderr()).map_or(80, |size| if size.ws_col == 0 { 80 } else { usize::from(size.ws_col) })
}

/// Writes an event into the log file, when there is one.
pub fn log(event: &Event) {
    match event {
        Event::Stage { title } => tracing::info!(stage = title.as_str()),
        Event::Step { id, title, state } => tracing::info!(step = id.0.as_str(), title = title.as_str(), ?state),
        Event::Line { text } => tracing::debug!(line = text.as_str()),
        Event::Verified { stage, passed, detail } => tracing::info!(verified = stage.as_str(), passed, detail = detail.as_str()),
        Event::Workers { rows } => tracing::debug!(workers = rows.len()),
        Event::Checking { id, .. } => tracing::info!(checking = id),
        Event::Checked { finding } => tracing::info!(checked = finding.id, outcome = ?finding.outcome, detail = finding.detail.as_str()),
        Event::Warning { text } => tracing::warn!(warning = text.as_str()),
    }
}
