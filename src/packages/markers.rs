//! Requirements as one interpreter sees them: markers evaluated, versions compared. Pure but for the kernel's release.

use super::installed::normalise;
use crate::domain::Distribution;
use crate::domain::detection::PythonEnvironment;
use pep508_rs::pep440_rs::Version;
use pep508_rs::{ExtraName, MarkerEnvironment, MarkerEnvironmentBuilder, Requirement as Parsed, VerbatimUrl, VersionOrUrl};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// A requirement that holds for this interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Normalised name.
    pub(crate) name: String,
    /// Names in brackets.
    pub(crate) extras: Vec<ExtraName>,
    version: Option<VersionOrUrl<VerbatimUrl>>,
}

impl Wanted {
    /// Whether a version fits. A text that is no version, and a requirement by address, cannot be compared and fit.
    pub(crate) fn accepts(&self, version: &str) -> bool {
        match (&self.version, Version::from_str(version)) {
            (Some(VersionOrUrl::VersionSpecifier(specifiers)), Ok(version)) => specifiers.contains(&version),
            _ => true,
        }
    }
}

/// The interpreter's side of every marker.
#[derive(Debug, Clone)]
pub(crate) struct Interpreter(MarkerEnvironment);

impl Interpreter {
    /// From what detection knows, without starting it; `None` when the version is no version.
    pub(crate) fn new(python: &PythonEnvironment) -> Option<Self> {
        let full = python.version.trim();
        let short = full.split('.').take(2).collect::<Vec<_>>().join(".");
        let pypy = python
            .because
            .iter()
            .any(|evidence| evidence.fact.to_ascii_lowercase().contains("pypy"))
            || python.interpreter.to_string_lossy().contains("pypy");
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let (system, platform) = if cfg!(target_os = "macos") {
            ("Darwin", "darwin")
        } else {
            ("Linux", "linux")
        };
        let machine = match (std::env::consts::ARCH, cfg!(target_os = "macos")) {
            ("aarch64", true) => "arm64",
            (other, _) => other,
        };
        MarkerEnvironment::try_from(MarkerEnvironmentBuilder {
            implementation_name: if pypy { "pypy" } else { "cpython" },
            implementation_version: full,
            os_name: "posix",
            platform_machine: machine,
            platform_python_implementation: if pypy { "PyPy" } else { "CPython" },
            platform_release: release.trim(),
            platform_system: system,
            platform_version: "",
            python_full_version: full,
            python_version: &short,
            sys_platform: platform,
        })
        .ok()
        .map(Self)
    }

    /// A requirement's text, when it parses and its marker holds with these extras.
    pub(crate) fn wanted(&self, text: &str, extras: &[ExtraName]) -> Option<Wanted> {
        let parsed: Parsed<VerbatimUrl> = Parsed::from_str(text).ok()?;
        if !parsed.evaluate_markers(&self.0, extras) {
            return None;
        }
        Some(Wanted {
            name: normalise(parsed.name.as_ref()),
            extras: parsed.extras,
            version: parsed.version_or_url,
        })
    }

    /// Whether these requirements, and everything that they require in turn, are installed in fitting versions.
    pub(crate) fn satisfied(&self, installed: &BTreeMap<String, Distribution>, requirements: &[&str]) -> bool {
        let mut queue: Vec<Wanted> = requirements.iter().filter_map(|text| self.wanted(text, &[])).collect();
        let mut seen: BTreeSet<(String, Vec<ExtraName>)> = BTreeSet::new();
        while let Some(wanted) = queue.pop() {
            let Some(distribution) = installed.get(&wanted.name) else {
                return false;
            };
            if !wanted.accepts(&distribution.version) {
                return false;
            }
            if seen.insert((wanted.name.clone(), wanted.extras.clone())) {
                queue.extend(distribution.requires.iter().filter_map(|text| self.wanted(text, &wanted.extras)));
            }
        }
        true
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::PackageTool;
    use crate::domain::detection::EnvironmentKind;

    pub(crate) fn environment(version: &str) -> PythonEnvironment {
        PythonEnvironment {
            interpreter: "/venv/bin/python".into(),
            version: version.to_owned(),
            virtualenv: Some("/venv".into()),
            kind: EnvironmentKind::Venv,
            package_manager: PackageTool::Pip,
            site_packages: Vec::new(),
            has_pip: true,
            externally_managed: false,
            broken: None,
            because: Vec::new(),
        }
    }

    pub(crate) fn installed(rows: &[(&str, &str, &[&str])]) -> BTreeMap<String, Distribution> {
        rows.iter()
            .map(|(name, version, requires)| {
                (
                    (*name).to_owned(),
                    Distribution {
                        name: (*name).to_owned(),
                        version: (*version).to_owned(),
                        requires: requires.iter().map(|text| (*text).to_owned()).collect(),
                        location: std::path::PathBuf::new(),
                    },
                )
            })
            .collect()
    }

    #[test]
    fn markers_follow_the_interpreter() {
        let old = Interpreter::new(&environment("3.8.18")).unwrap();
        let new = Interpreter::new(&environment("3.12.1")).unwrap();
        let text = "importlib-metadata (>=4) ; python_version < '3.10'";
        assert!(old.wanted(text, &[]).is_some());
        assert!(new.wanted(text, &[]).is_none());
        assert!(new.wanted("x ; extra == 'test'", &[]).is_none());
        assert!(new.wanted("x ; platform_system == 'Windows'", &[]).is_none());
    }

    #[test]
    fn a_half_installed_set_is_not_satisfied() {
        let python = Interpreter::new(&environment("3.12.1")).unwrap();
        let rows: &[(&str, &str, &[&str])] = &[("a", "1.0b0", &["b~=1.0", "c; extra == 'x'"]), ("b", "1.4", &["a"])];
        assert!(python.satisfied(&installed(rows), &["A==1.0b0"]));
        assert!(
            !python.satisfied(&installed(rows), &["a[x]==1.0b0"]),
            "the extra's requirement is missing"
        );
        assert!(!python.satisfied(&installed(&rows[..1]), &["a==1.0b0"]), "b is missing");
        assert!(!python.satisfied(&installed(rows), &["a==1.1"]));
    }
}
