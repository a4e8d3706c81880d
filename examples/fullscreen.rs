//! Takes the terminal over and loses it in a bad way, for the test that it is given back all the same.
//!
//! ```text
//! cargo run --example fullscreen -- panic      the thread that draws panics
//! cargo run --example fullscreen -- error      an error ends the program early
//! cargo run --example fullscreen -- elsewhere  another thread panics; the screen stays, until Enter
//! ```

use crossterm::event::{Event, KeyCode, read};
use signoz_setup::ui::terminal::Fullscreen;
use std::io;

fn main() -> io::Result<()> {
    let how = std::env::args().nth(1).unwrap_or_default();
    let mut screen = Fullscreen::enter()?;
    screen
        .terminal()
        .draw(|frame| frame.render_widget("the full screen is on", frame.area()))?;
    match how.as_str() {
        "panic" => panic!("a panic in the thread that draws"),
        "elsewhere" => {
            let _ = std::thread::spawn(|| panic!("a panic in another thread")).join();
            screen
                .terminal()
                .draw(|frame| frame.render_widget("the other thread is gone", frame.area()))?;
            while !matches!(read()?, Event::Key(key) if key.code == KeyCode::Enter) {}
            Ok(())
        }
        _ => Err(io::Error::other("an early error")),
    }
}
