//! Moments as text, in UTC: what operators write and read.

use std::time::{Duration, UNIX_EPOCH};

/// `2026-11-28T13:00:00Z`, of seconds since the Unix epoch; what lies before it is shown as it.
pub(crate) fn text(seconds: i64) -> String {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

/// Seconds since the Unix epoch, of `2026-11-28`, `2026-11-28T13:00:00Z` or such seconds themselves.
pub(crate) fn parse(given: &str) -> Result<i64, String> {
    if let Ok(seconds) = given.parse() {
        return Ok(seconds);
    }
    let wrong = || {
        format!(
            "{given:?} is no time: write 2026-11-28, 2026-11-28T13:00:00Z (UTC) or Unix seconds"
        )
    };
    let full = match given.len() {
        10 => format!("{given}T00:00:00Z"),
        _ => given.to_owned(),
    };
    let moment = humantime::parse_rfc3339(&full).map_err(|_| wrong())?;
    let since = moment.duration_since(UNIX_EPOCH).map_err(|_| wrong())?;
    i64::try_from(since.as_secs()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_and_read() {
        // From `date -u -d @N`.
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_860_000, "2026-11-28T10:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(text(seconds), expected);
            assert_eq!(parse(expected), Ok(seconds));
            assert_eq!(parse(&seconds.to_string()), Ok(seconds));
        }
        assert_eq!(parse("2000-02-29"), Ok(951_782_400));
        assert_eq!(text(-1), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn other_text_is_no_moment() {
        for given in [
            "",
            "yesterday",
            "2026-13-01",
            "2026-02-29",
            "2026-1-1",
            "2026-11-28T25:00:00Z",
            "2026/11/28",
            "20é6-11-28",
        ] {
            assert!(parse(given).is_err(), "{given:?}");
        }
    }
}
