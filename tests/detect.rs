//! What detection says about projects, environments and machines, each with where it was seen.

#[path = "detect/cases.rs"]
mod cases;
#[path = "detect/environments.rs"]
mod environments;
#[path = "detect/hostile.rs"]
mod hostile;
#[path = "detect/machine.rs"]
mod machine;
#[path = "detect/support.rs"]
mod support;
