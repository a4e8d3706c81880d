//! `Detection` + `Answers` → `Plan`. Pure and deterministic: may never touch the machine.
