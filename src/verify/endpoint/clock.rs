//! This machine's clock beside the endpoint's `Date` header (RFC 9110 §5.6.7): a skewed clock hides spans.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// More than this is worth a warning.
const TOLERATED: Duration = Duration::from_secs(30);

/// What to do about a clock that is wrong.
pub const REMEDY: &str =
    "set this machine's clock (`timedatectl set-ntp true`): spans dated in the past or future are not in the time range that SigNoz shows";

/// How far this machine's clock is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skew {
    /// This machine is ahead.
    ahead: bool,
    /// By how much.
    by: Duration,
}

impl Skew {
    /// Whether spans could be looked for in the wrong time range.
    #[must_use]
    pub fn is_too_large(self) -> bool {
        self.by > TOLERATED
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.ahead { "ahead of" } else { "behind" };
        write!(f, "this machine's clock is {} {side} the endpoint's", about(self.by))
    }
}

/// Compares a `Date` header that came between two moments; `None` when it is not a date.
#[must_use]
pub fn skew(date: &str, sent: SystemTime, received: SystemTime) -> Option<Skew> {
    let theirs = parse(date)?;
    let middle = sent + received.duration_since(sent).unwrap_or_default() / 2;
    Some(match middle.duration_since(theirs) {
        Ok(by) => Skew { ahead: true, by },
        Err(error) => Skew {
            ahead: false,
            by: error.duration(),
        },
    })
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn parse(date: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = date.split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let clock: Vec<u64> = words.next()?.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hour, minute, second] = clock.as_slice() else { return None };
    if *hour > 23 || *minute > 59 || *second > 60 || words.next() != Some("GMT") {
        return None;
    }
    // Days from 1970, with the year beginning in March so that leap days come last.
    let (y, m) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some(UNIX_EPOCH + Duration::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second))
}

/// `3 h 20 min`, in the two largest units.
pub(super) fn about(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} days {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let seconds = |date| parse(date).map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_secs());
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(seconds("Thu, 29 Feb 2024 23:59:59 GMT"), Some(1_709_251_199));
        for bad in [
            "",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 99 Nov 1994 08:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 8 GMT",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn half_a_minute_is_tolerated() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let of = |seconds| skew("Sun, 06 Nov 1994 08:49:37 GMT", at(seconds), at(seconds + 2)).unwrap();
        assert!(!of(784_111_777 + 28).is_too_large());
        let ahead = of(784_111_777 + 12_000);
        assert!(ahead.is_too_large());
        assert_eq!(ahead.to_string(), "this machine's clock is 3 h 20 min ahead of the endpoint's");
        assert!(of(784_111_777 - 100).to_string().contains("1 min 39 s behind"));
    }
}
