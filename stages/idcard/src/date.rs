//! Days of the Gregorian calendar, as cards and registers print them.

use std::fmt;
use std::str::FromStr;

const EPOCH_YEAR: u16 = 1970;
const DAY_US: i64 = 24 * 3_600_000_000;
/// How far the clocks of China are ahead of UTC.
const CHINA_AHEAD_US: i64 = 8 * 3_600_000_000;

/// A day that exists. Shows itself as `YYYY-MM-DD`, in the clear: a birth date does not belong into a
/// log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// 0000-01-01.
    pub(crate) const FIRST: Self = Self {
        year: 0,
        month: 1,
        day: 1,
    };

    /// Of year (0 to 9999), month (1 to 12) and day; `None` when there is no such day.
    #[must_use]
    pub const fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        if year > 9999 || day < 1 || day > days_of(year, month) {
            return None;
        }
        Some(Self { year, month, day })
    }

    /// The day in UTC+8, which all of China keeps, at a moment in microseconds since the Unix epoch; `None` before
    /// 1970 and after 9999.
    #[must_use]
    pub fn in_china(unix_us: i64) -> Option<Self> {
        let days = unix_us.checked_add(CHINA_AHEAD_US)?.div_euclid(DAY_US);
        let mut left = u32::try_from(days).ok()?;
        for year in EPOCH_YEAR..=9999 {
            for month in 1..=12 {
                let days = u32::from(days_of(year, month));
                if left < days {
                    return Self::new(year, month, u8::try_from(left + 1).ok()?);
                }
                left -= days;
            }
        }
        None
    }

    /// Year, 0 to 9999.
    #[must_use]
    pub const fn year(self) -> u16 {
        self.year
    }

    /// Month, 1 to 12.
    #[must_use]
    pub const fn month(self) -> u8 {
        self.month
    }

    /// Day of the month, 1 to 31.
    #[must_use]
    pub const fn day(self) -> u8 {
        self.day
    }

    /// Of `YYYYMMDD`, ASCII digits.
    pub(crate) fn from_digits(digits: &[u8]) -> Option<Self> {
        let year = u16::try_from(number(digits.get(..4)?)?).ok()?;
        let month = u8::try_from(number(digits.get(4..6)?)?).ok()?;
        let day = u8::try_from(number(digits.get(6..8)?)?).ok()?;
        Self::new(year, month, day).filter(|_| digits.len() == 8)
    }
}

/// Days of a month; 0 when there is no such month.
const fn days_of(year: u16, month: u8) -> u8 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// The value of a few ASCII digits.
pub(crate) fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |sum, digit| {
        let value = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(value)
    })
}

/// The text is no day of the form `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no day of the form YYYY-MM-DD")]
pub struct DateError;

impl FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else {
            return Err(DateError);
        };
        Self::from_digits(&[y1, y2, y3, y4, m1, m2, d1, d2]).ok_or(DateError)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn leap_days_exist_where_they_do() {
        for (year, leaps) in [(1900, false), (2000, true), (2023, false), (2024, true)] {
            assert_eq!(Date::new(year, 2, 29).is_some(), leaps, "{year}");
            assert!(Date::new(year, 2, 28).is_some());
            assert!(Date::new(year, 2, 30).is_none());
        }
    }

    #[test]
    fn a_moment_has_the_day_of_china() {
        // From `TZ=Asia/Shanghai date -d @N +%F`.
        for (seconds, day) in [
            (0, "1970-01-01"),
            (951_753_599, "2000-02-28"),
            (951_753_600, "2000-02-29"),
            (1_795_881_599, "2026-11-28"),
            (1_795_881_600, "2026-11-29"),
            (4_107_513_600, "2100-03-01"),
        ] {
            let found = Date::in_china(seconds * 1_000_000).unwrap();
            assert_eq!(found.to_string(), day, "{seconds}");
        }
        assert_eq!(Date::in_china(-1).unwrap().to_string(), "1970-01-01");
        assert!(Date::in_china(-CHINA_AHEAD_US - 1).is_none());
        assert!(Date::in_china(i64::MAX).is_none());
    }

    #[test]
    fn other_texts_are_no_days() {
        for text in [
            "",
            "2024-2-29",
            "20240229",
            "2024-02-30",
            "2024/02/28",
            "2024-13-01",
            "2024-00-01",
            "2024-01-00",
            "+024-01-01",
            "2024-01-011",
            "２０２４-01-01",
        ] {
            assert!(text.parse::<Date>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read(year in 0_u16..=9999, month in 1_u8..=12, day in 1_u8..=28) {
            let date = Date::new(year, month, day).unwrap();
            prop_assert_eq!(date.to_string().parse(), Ok(date));
        }

        #[test]
        fn any_text_is_judged(text: String) {
            let _ = text.parse::<Date>();
        }
    }
}
