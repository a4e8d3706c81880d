//! The offline pages of findings.

use super::Context;
use crate::checks;
use crate::domain::report::{Page, Report};
use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// Id and text of every page, sorted by id.
fn pages<'a>() -> BTreeMap<&'static str, &'a str> {
    checks::all().map(|check| (check.id, check.page)).collect()
}

/// One page, or the list of all.
pub(super) fn run(context: &Context) -> Result<Report> {
    let id = context.cli.explain.as_deref().unwrap_or_default();
    let page = |id: &str, page: &str, whole: bool| Page {
        id: id.to_owned(),
        title: title(page).to_owned(),
        text: whole.then(|| page.to_owned()),
    };
    let by_hand = checks::by_hand::page();
    let mut pages = pages();
    pages.insert("by-hand", &by_hand);
    let mut report = Report::new("explain");
    report.pages = if id.is_empty() {
        pages.iter().map(|(id, text)| page(id, text, false)).collect()
    } else {
        let text = pages.get(id).ok_or_else(|| {
            Error::usage(format!("there is no page `{}`", id.escape_debug())).remedy("run `signoz-setup --explain` for the list")
        })?;
        vec![page(id, text, true)]
    };
    Ok(report)
}

/// The first sentence below the heading.
fn title(page: &str) -> &str {
    page.lines().nth(2).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_listed_and_names_itself() {
        let mut files: Vec<String> = std::fs::read_dir("assets/explain")
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let listed: Vec<String> = pages().keys().map(|id| format!("{id}.md")).collect();
        assert_eq!(files, listed);
        for (id, page) in pages() {
            assert!(page.starts_with(&format!("# {id}\n\n")) && title(page).ends_with('.'), "{id}");
        }
    }
}
