//! What the wizard hears and what it asks for: messages in, effects out.

use super::field::Edit;
use super::interview::Found;
use crate::domain::answers::Draft;
use crate::domain::{Event, InstrumentationSet, LevelReport, Region, Report, Resolution};
use crate::error::{Error, Signal};
use std::path::PathBuf;

/// A key, a paste or a new size of the window, free of any terminal's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A printable character.
    Char(char),
    /// Goes on.
    Enter,
    /// Goes back.
    Esc,
    /// The line above.
    Up,
    /// The line below.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// The next part of the screen.
    Tab,
    /// Moves in a line of text, or deletes in it.
    Edit(Edit),
    /// The keys that can be pressed here.
    Help,
    /// Text from the clipboard.
    Paste(String),
    /// Ctrl-C.
    Interrupt,
    /// Columns and rows.
    Resize(u16, u16),
}

/// Names one piece of work, so that the answer of one that nobody waits for any more is told from the awaited one's.
pub type Ticket = u64;

/// Something that happened.
#[derive(Debug)]
pub enum Msg {
    /// The person did something.
    Input(Input),
    /// SIGTERM, SIGHUP, or a SIGINT from outside.
    Ended(Signal),
    /// A moment has passed; sent only while something is at work.
    Tick,
    /// Work that is going on says how far it is.
    Progress(Ticket, Event),
    /// The project was looked at.
    Found(Ticket, Box<Found>),
    /// The resolver has answered for one set.
    Resolved(Ticket, InstrumentationSet, Box<Result<Resolution, Error>>),
    /// The key was tried against the endpoint.
    KeyChecked(Ticket, Box<LevelReport>),
    /// The key was tried against every region.
    RegionsTried(Ticket, Vec<(Region, LevelReport)>),
    /// A piece of [`Work`] has ended; the report holds everything that is known by now.
    Done(Ticket, Work, Box<Report>, Option<Box<Error>>),
}

/// The pieces of work that fill the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Answers → plan, compared with the machine.
    Prepare,
    /// The plan's steps.
    Apply,
    /// Levels `endpoint`, `python`, `stored`.
    Verify,
    /// Level `workers`: the app is started.
    Rehearse,
    /// Everything that set-up changed here is put back.
    Undo,
}

/// Something that the program has to do for the wizard.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Looks at the project; answered by [`Msg::Found`], then by [`Msg::Resolved`] for each set.
    Detect(Ticket, Option<PathBuf>),
    /// Tries the key of these answers against their endpoint; answered by [`Msg::KeyChecked`].
    CheckKey(Ticket, Box<Draft>),
    /// Tries the key of these answers against every region; answered by [`Msg::RegionsTried`].
    FindRegion(Ticket, Box<Draft>),
    /// Makes a plan of the answers; answered by [`Msg::Done`].
    Prepare(Ticket, Box<Draft>),
    /// Does a piece of work on the plan that was made last; answered by [`Msg::Done`].
    Start(Ticket, Work),
    /// Ends the work that is going on; what was changed is put back, and [`Msg::Done`] still comes.
    Cancel,
    /// The wizard is over.
    Leave(Leaving),
}

/// How the wizard ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Leaving {
    /// With the report as it stands.
    Done,
    /// By the person or the system, before it was done.
    Interrupted(Signal),
    /// The person gave up at this error.
    Failed(Box<Error>),
}
