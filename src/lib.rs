//! `signoz-setup` gets the first trace of a Python app into SigNoz and proves that it arrived.
//!
//! One way for data to flow: detect → answers → plan → apply → verify → report.
//!
//! | module | is | may name with `crate::` |
//! |---|---|---|
//! | `domain` | pure data: answers, detection, plan, report | `domain` only |
//! | `error` | the one error type and its exit codes | nothing |
//! | `system` | the machine behind seams | `domain`, `error` |
//! | `packages` | what is installed, what a resolver would do, how each tool installs | `domain`, `error`, `system` |
//! | `detect` | machine and project → `Detection`; facts with evidence | `domain`, `error`, `packages`, `system` |
//! | `coverage` | what will be traced by which set; pure | `domain` |
//! | `planner` | `Detection` + `Answers` → `Plan`; pure | `coverage`, `domain`, `error` |
//! | `engine` | diff, apply, journal, undo | `domain`, `error`, `packages`, `system` |
//! | `tap` | the embedded OTLP receiver and its ledger | `domain`, `error`, `system` |
//! | `verify` | the four honest levels | `domain`, `error`, `planner`, `system`, `tap` |
//! | `checks` | the doctor's catalogue and its runner | `coverage`, `detect`, `domain`, `error`, `packages`, `planner`, `system`, `verify` |
//! | `wizard` | the questions, one table | `domain`, `error` |
//! | `ui` | shows; never decides | `domain`, `error`, `wizard` |
//! | `cli` | flags | `domain`, `error`, `wizard` |
//! | `app` | the one pipeline; nobody imports it | everything |

#![warn(unreachable_pub)]

pub mod app;
pub mod checks;
pub mod cli;
pub mod coverage;
pub mod detect;
pub mod domain;
pub mod engine;
pub mod error;
pub mod packages;
pub mod planner;
pub mod system;
pub mod tap;
pub mod ui;
pub mod verify;
pub mod wizard;
