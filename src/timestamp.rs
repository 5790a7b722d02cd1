//! Points in time for people.

use std::time::{Duration, UNIX_EPOCH};

/// `2026-11-28T13:00:00Z` for microseconds since the Unix epoch; what lies before it is shown as it.
pub(crate) fn utc(us: i64) -> String {
    let since = Duration::from_micros(u64::try_from(us).unwrap_or(0));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn seconds_are_shown() {
        assert_eq!(super::utc(1_764_334_800_999_999), "2025-11-28T13:00:00Z");
        assert_eq!(super::utc(-1), "1970-01-01T00:00:00Z");
    }
}
