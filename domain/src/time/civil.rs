//! Days since 1970-01-01 and dates of the proleptic Gregorian calendar.
//!
//! Both directions count in years that begin in March, so that the leap day is the last of its year, and in eras of 400
//! years, after which the calendar repeats itself.

const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_FROM_MARCH_0000: i64 = 719_468;

/// A date; `month` and `day` count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
}

impl Date {
    /// The date that many days after 1970-01-01.
    pub(super) const fn from_days(days: i64) -> Self {
        let days = days + EPOCH_FROM_MARCH_0000;
        let era = days.div_euclid(DAYS_PER_ERA);
        let day_of_era = days.rem_euclid(DAYS_PER_ERA);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 {
            march_month + 3
        } else {
            march_month - 9
        };
        let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
        Self {
            year,
            month,
            day: day_of_year - (153 * march_month + 2) / 5 + 1,
        }
    }

    /// Days since 1970-01-01.
    pub(super) const fn days(self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let march_month = if self.month > 2 { self.month - 3 } else { self.month + 9 };
        let day_of_year = (153 * march_month + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * DAYS_PER_ERA + day_of_era - EPOCH_FROM_MARCH_0000
    }

    /// Whether the calendar has this date.
    pub(super) fn exists(self) -> bool {
        (1..=12).contains(&self.month) && self.day >= 1 && Self::from_days(self.days()) == self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (days, year, month, day) in [
            (0, 1970, 1, 1),
            (-1, 1969, 12, 31),
            (14_944, 2010, 12, 1),
            (11_016, 2000, 2, 29),
            (-719_468, 0, 3, 1),
            (2_932_896, 9999, 12, 31),
        ] {
            let date = Date { year, month, day };
            assert_eq!(Date::from_days(days), date);
            assert_eq!(date.days(), days);
        }
    }

    #[test]
    fn every_day_of_two_eras_comes_back() {
        for days in -DAYS_PER_ERA..DAYS_PER_ERA {
            assert_eq!(Date::from_days(days).days(), days);
        }
    }

    #[test]
    fn dates_the_calendar_lacks() {
        for (year, month, day) in [
            (2010, 2, 29),
            (1900, 2, 29),
            (2010, 13, 1),
            (2010, 0, 1),
            (2010, 4, 31),
            (2010, 4, 0),
        ] {
            assert!(!Date { year, month, day }.exists(), "{year}-{month}-{day}");
        }
        assert!(
            Date {
                year: 2000,
                month: 2,
                day: 29
            }
            .exists()
        );
    }
}
