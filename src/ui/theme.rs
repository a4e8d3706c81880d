//! Placeholder until the views are merged.
use std::collections::BTreeMap;
/// Colours and glyphs.
#[derive(Debug, Clone, Copy)]
pub struct Theme;
impl Theme {
    /// Of the environment.
    #[must_use]
    pub fn of(_env: &BTreeMap<String, String>, _colour: Option<bool>) -> Self {
        Self
    }
}
