//! The import table in `src/lib.rs` is the house's law: this test reads it and holds every file against it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Module → modules it may name, out of the table; `everything` is spelled out.
fn law() -> BTreeMap<String, Option<BTreeSet<String>>> {
    let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let text = fs::read_to_string("src/lib.rs").unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("//! | `"))
        .map(|row| {
            let cells: Vec<&str> = row.split('|').collect();
            let name = cells[0].trim().trim_end_matches('`').to_owned();
            let allowed = (!cells[2].contains("everything")).then(|| words(cells[2]).into_iter().collect());
            (name, allowed)
        })
        .collect()
}

fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix("src").unwrap();
    inside
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_str()
        .unwrap()
        .trim_end_matches(".rs")
        .to_owned()
}

#[test]
fn modules_name_only_what_the_table_allows() {
    let law = law();
    let mut files = Vec::new();
    rust_files(Path::new("src"), &mut files);
    let mut broken = Vec::new();
    for path in &files {
        let module = module_of(path);
        if module == "lib" || module == "main" {
            continue;
        }
        let Some(allowed) = law.get(&module) else {
            broken.push(format!("{}: `{module}` has no row in the table of src/lib.rs", path.display()));
            continue;
        };
        let Some(allowed) = allowed else { continue };
        for (number, line) in fs::read_to_string(path).unwrap().lines().enumerate() {
            for part in line.split("crate::").skip(1) {
                let named: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if !named.is_empty() && named != module && law.contains_key(&named) && !allowed.contains(&named) {
                    broken.push(format!("{}:{}: {module} may not name {named}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_table_names_no_module_that_is_gone() {
    for module in law().keys() {
        assert!(
            Path::new("src").join(module).is_dir() || Path::new("src").join(format!("{module}.rs")).is_file(),
            "src/{module} is gone"
        );
    }
}

/// Variables, child processes and exits belong to `system` and `main`.
#[test]
fn only_system_touches_the_process() {
    let mut files = Vec::new();
    rust_files(Path::new("src"), &mut files);
    let mut broken = Vec::new();
    for path in files.iter().filter(|path| !["system", "main"].contains(&module_of(path).as_str())) {
        let text = fs::read_to_string(path).unwrap();
        let production = text.split("#[cfg(test)]").next().unwrap();
        for (number, line) in production.lines().enumerate() {
            for forbidden in [
                "std::env::var",
                "env::set_var",
                "Command::new(",
                "process::exit",
                "fs::write(",
                "fs::remove_",
                "fs::rename(",
            ] {
                if line.contains(forbidden) && !line.trim_start().starts_with("//") {
                    broken.push(format!("{}:{}: {forbidden}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
