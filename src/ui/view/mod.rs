//! Placeholder until the views are merged.
use super::theme::Theme;
use crate::wizard::Wizard;
/// Draws.
pub fn draw(wizard: &Wizard, _theme: &Theme, frame: &mut ratatui::Frame) -> usize {
    let text = format!(
        "signoz-setup {:?}\n{:?}\n{:#?}",
        frame.area(),
        wizard.live.stages.last(),
        wizard.screen
    );
    frame.render_widget(ratatui::widgets::Paragraph::new(text), frame.area());
    0
}
