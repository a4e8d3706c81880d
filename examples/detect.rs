//! Prints what detection finds in a folder, as JSON: `cargo run --release --example detect -- DIR`.

use signoz_setup::detect;
use signoz_setup::system::{Cancel, System};
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let system = System::real(runtime.handle().clone(), Cancel::default());
    let detection = detect::run(&system, &folder, None, &|_| {});
    println!("{}", serde_json::to_string_pretty(&detection)?);
    Ok(())
}
