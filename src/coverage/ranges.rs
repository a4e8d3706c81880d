//! Version comparison as Python's packaging tools do it (PEP 440).
//!
//! May never guess: a version or a range that cannot be read is not admitted.

use pep440_rs::{Version, VersionSpecifiers};
use std::str::FromStr;

/// Whether `range` admits `version`; an empty range admits everything, a pre-release only when asked or named.
#[must_use]
pub fn admits(range: &str, version: &str, prereleases: bool) -> bool {
    if range.is_empty() {
        return true;
    }
    let (Ok(specifiers), Ok(version)) = (VersionSpecifiers::from_str(range), Version::from_str(version)) else {
        return false;
    };
    let named = specifiers.iter().any(|specifier| specifier.version().any_prerelease());
    (prereleases || named || !version.any_prerelease()) && specifiers.contains(&version)
}

/// Whether two versions belong to the same minor series: `3.1.0` and `3.1.3`.
#[must_use]
pub fn same_minor(one: &str, other: &str) -> bool {
    let series = |text: &str| {
        let version = Version::from_str(text).ok()?;
        let mut numbers = version.release().iter().copied();
        Some((version.epoch(), numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)))
    };
    series(one).is_some() && series(one) == series(other)
}

/// The name and the specifiers of a `Requires-Dist` line, old `x (>=1)` form included; `None` when only an extra asks for it.
#[must_use]
pub fn requirement(line: &str) -> Option<(String, String)> {
    let (text, marker) = line.split_once(';').unwrap_or((line, ""));
    if marker.contains("extra") {
        return None;
    }
    let text = text.trim();
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = rest.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(extras) => extras.split_once(']').map_or("", |(_, after)| after),
        None => rest,
    };
    let specifiers = rest.trim().trim_start_matches('(').trim_end_matches(')').trim();
    let mut normal = String::with_capacity(name.len());
    for part in name.split(['-', '_', '.']).filter(|part| !part.is_empty()) {
        if !normal.is_empty() {
            normal.push('-');
        }
        normal.push_str(&part.to_lowercase());
    }
    Some((normal, specifiers.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_mean_what_pip_means() {
        for (range, version, inside) in [
            ("~=0.13.0", "0.13.8", true),
            ("~=0.13.0", "0.14.0", false),
            ("~=3.0", "3.14.5", true),
            (">=0.18.0,<=0.23.0", "0.23.0", true),
            (">=0.18.0,<=0.23.0", "0.23.1", false),
            (">=1.0,<3.0", "3.0.0", false),
            (">=1.0,<3.0", "3.0.0rc1", false),
            (">=1.0,<3.0", "2.3.3+local.1", true),
            ("<2", "1.1.1", true),
            ("", "anything", true),
            (">=1.0", "not a version", false),
        ] {
            assert_eq!(admits(range, version, true), inside, "{range} {version}");
        }
    }

    #[test]
    fn prereleases_are_admitted_only_when_asked_or_named() {
        assert!(admits(">=1.0", "2.0rc1", true));
        assert!(!admits(">=1.0", "2.0rc1", false));
        assert!(admits(">=2.0rc1", "2.0rc2", false));
    }

    #[test]
    fn series_are_compared_by_two_numbers() {
        assert!(same_minor("3.1.0", "3.1.99"));
        assert!(!same_minor("3.1.3", "3.2.0"));
        assert!(!same_minor("1.1.0", "1.10.0"));
        assert!(!same_minor("x", "x"));
    }

    #[test]
    fn requirement_lines_are_split() {
        let pair = |name: &str, range: &str| Some((name.to_owned(), range.to_owned()));
        assert_eq!(requirement("opentelemetry-api>=1.44.0"), pair("opentelemetry-api", ">=1.44.0"));
        assert_eq!(
            requirement("Foo_Bar [x] (>=1,<2) ; python_version < '4'"),
            pair("foo-bar", ">=1,<2")
        );
        assert_eq!(requirement("PySocks!=1.5.7; extra == 'socks'"), None);
        assert_eq!(requirement("idna"), pair("idna", ""));
    }
}
