//! Something is at work that the next screen needs.

use super::frame::{Look, Page};
use super::lines::{Row, wrap};
use super::stages;
use crate::domain::Region;
use crate::ui::marks::Tone;
use crate::wizard::Waiting;

/// The screen.
pub(super) fn page(look: &Look<'_>, waiting: Waiting) -> Page {
    let theme = look.theme;
    let width = look.text_width();
    let mut page = Page::default();
    match waiting {
        Waiting::Region => {
            page.top.push(theme.row(Tone::Title, "Looking for the key's region"));
            page.top.push(Row::default());
            let words = format!("trying the key against {}", Region::KNOWN.join(", "));
            page.long = look.marked(look.spinner(), Tone::Plain, words, width);
        }
        Waiting::Plan => {
            page.top.push(theme.row(Tone::Title, "Making the plan"));
            page.top
                .extend(wrap(theme.row(Tone::Quiet, "nothing is changed before you have seen it"), width, 0));
            page.top.push(Row::default());
            page.long = stages::rows(look, width, look.height);
            if page.long.is_empty() {
                page.long = look.marked(look.spinner(), Tone::Plain, "beginning", width);
            }
            if let Some(last) = look.wizard.live.log.back() {
                page.long.push(Row::default());
                page.long.extend(wrap(theme.row(Tone::Quiet, last), width, 0));
            }
        }
    }
    page
}
