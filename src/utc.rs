//! Moments as text, in UTC: what operators write and read.

const DAY_S: i64 = 86_400;
/// Days of 400 years, after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// `2026-11-28T13:00:00Z`, of seconds since the Unix epoch.
pub(crate) fn text(seconds: i64) -> String {
    let (day, second) = (seconds.div_euclid(DAY_S), seconds.rem_euclid(DAY_S));
    let (year, month, day) = date(day);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
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
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = given.get(range)?;
        let is_digits = digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|_| is_digits)
    };
    let seconds = || {
        let day = days(number(0..4)?, number(5..7)?, number(8..10)?);
        let time = match given.len() {
            10 => 0,
            _ => number(11..13)? * 3_600 + number(14..16)? * 60 + number(17..19)?,
        };
        Some(day * DAY_S + time)
    };
    let seconds = seconds().ok_or_else(wrong)?;
    // Read back: a month 13, an hour 25 or other punctuation would give another text.
    let full = text(seconds);
    if given == full || format!("{given}T00:00:00Z") == full {
        Ok(seconds)
    } else {
        Err(wrong())
    }
}

/// Year, month and day of a day since the Unix epoch (H. Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms"): years begin in March, so that a leap day is a year's last.
fn date(day: i64) -> (i64, i64, i64) {
    let day = day + EPOCH_DAYS;
    let (era, day) = (day.div_euclid(ERA_DAYS), day.rem_euclid(ERA_DAYS));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

/// Days since the Unix epoch: the inverse of [`date`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let month = if month > 2 { month - 3 } else { month + 9 };
    let day = (153 * month + 2) / 5 + day - 1;
    let day = year * 365 + year / 4 - year / 100 + day;
    era * ERA_DAYS + day - EPOCH_DAYS
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
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(text(seconds), expected);
            assert_eq!(parse(expected), Ok(seconds));
            assert_eq!(parse(&seconds.to_string()), Ok(seconds));
        }
        assert_eq!(parse("2000-02-29"), Ok(951_782_400));
        // Every day of 800 years comes back, one after the other.
        for day in -146_097..146_097 {
            let written = text(day * DAY_S);
            assert_eq!(parse(&written[..10]), Ok(day * DAY_S), "{written}");
        }
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
            "2026-11-28T13:00:00",
            "2026-11-28 13:00:00Z",
            "2026/11/28",
            "20é6-11-28",
        ] {
            assert!(parse(given).is_err(), "{given:?}");
        }
    }
}
