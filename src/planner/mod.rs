//! `Detection` + `Answers` → `Plan`. Pure and deterministic: may never touch the machine.

pub mod packages;

pub use packages::requirements;
