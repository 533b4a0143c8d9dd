//! Which fields of a cron expression a time or a date does not fit. Does not know zones and instants.

use jiff::civil::{Date, Time};

use super::{CronPattern, SHORTEST_MONTH, monday_offset, without_nickname};

/// A field of an expression that an instant does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CronField {
    /// The second.
    Second,
    /// The minute.
    Minute,
    /// The hour.
    Hour,
    /// The month.
    Month,
    /// The day of the month, which decides alone.
    DayOfMonth,
    /// The day of the week, which decides alone.
    DayOfWeek,
    /// The day of the month and that of the week, of which one begins with a star: both must fit, and at least one does not.
    BothDays,
    /// The day of the month and that of the week, of which either may fit, and neither does.
    EitherDay,
}

impl CronPattern {
    /// The fields for a time of day that `time` does not fit, the greatest first.
    pub fn mismatches_of_time(&self, time: Time) -> Vec<CronField> {
        let has = |set: u64, member: i8| set & 1 << member != 0;
        let fields = [
            (CronField::Hour, has(self.hours, time.hour())),
            (CronField::Minute, has(self.minutes, time.minute())),
            (CronField::Second, has(self.seconds, time.second())),
        ];
        fields.into_iter().filter(|(_, fits)| !fits).map(|(field, _)| field).collect()
    }

    /// The fields for a date that `date` does not fit, the greatest first.
    pub fn mismatches_of_date(&self, date: Date) -> Vec<CronField> {
        let month = if self.months & 1 << date.month() == 0 { Some(CronField::Month) } else { None };
        let length = usize::try_from(date.days_in_month() - SHORTEST_MONTH).expect("no month is shorter than 28 days");
        let days = self.days[length][monday_offset(date.first_of_month().weekday())];
        let day = if days & 1 << date.day() == 0 { Some(self.deciding_day()) } else { None };
        month.into_iter().chain(day).collect()
    }

    /// Which of its day fields decide.
    fn deciding_day(&self) -> CronField {
        let expression = without_nickname(&self.text).unwrap_or_default();
        let fields: Vec<&str> = expression.split_whitespace().collect();
        let [.., day_of_month, _, day_of_week] = fields[..] else { return CronField::EitherDay };
        let is_star = |field: &str| matches!(field, "*" | "?");
        let starred = |field: &str| field.starts_with(['*', '?']);
        match (is_star(day_of_month), is_star(day_of_week)) {
            (true, _) => CronField::DayOfWeek,
            (_, true) => CronField::DayOfMonth,
            _ if starred(day_of_month) || starred(day_of_week) => CronField::BothDays,
            _ => CronField::EitherDay,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};

    use super::*;

    #[test]
    fn the_fields_that_do_not_fit_are_named() {
        use CronField::{BothDays, DayOfMonth, DayOfWeek, EitherDay, Hour, Minute, Month, Second};
        // A Tuesday.
        for (text, expected) in [
            ("30 18 * * *", &[][..]),
            ("0 9 * * 1", &[DayOfWeek, Hour, Minute]),
            ("30 18 13 * *", &[DayOfMonth]),
            ("30 18 13 * FRI", &[EitherDay]),
            ("30 18 */13 * FRI", &[BothDays]),
            ("30 18 24 12 ?", &[Month]),
            ("15 30 18 * * *", &[Second]),
            ("@monthly", &[DayOfMonth, Hour, Minute]),
        ] {
            let pattern = CronPattern::parse(text).expect(text);
            let mismatches =
                [pattern.mismatches_of_date(date(2026, 11, 24)), pattern.mismatches_of_time(time(18, 30, 0, 0))].concat();
            assert_eq!(mismatches, expected, "{text}");
        }
    }
}
