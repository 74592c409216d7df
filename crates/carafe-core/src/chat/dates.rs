//! `strftime_now`: the request's date as Python's `datetime.strftime` writes it, in the C locale.
//! Nothing here reads a clock.

/// A moment, as its calendar fields in UTC.
struct Moment {
    year: i64,
    month: usize,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    /// From 0, Sunday.
    weekday: usize,
    /// From 1.
    day_of_year: i64,
}

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const SECONDS_PER_DAY: i64 = 86_400;

impl Moment {
    fn new(seconds: i64) -> Self {
        let days = seconds.div_euclid(SECONDS_PER_DAY);
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let (year, month, day) = civil(days);
        Self {
            year,
            month,
            day,
            hour: of_day / 3600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
            // 1970 began on a Thursday.
            weekday: usize::try_from((days + 4).rem_euclid(7)).unwrap_or_default(),
            day_of_year: days - days_before(year) + 1,
        }
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days from 1970 to the beginning of a year.
fn days_before(year: i64) -> i64 {
    let before = year - 1;
    365 * (year - 1970) + (before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400)) - 477
}

/// Year, month (from 0) and day of a number of days since 1970.
fn civil(days: i64) -> (i64, usize, i64) {
    let mut year = 1970 + days.div_euclid(366);
    while days_before(year + 1) <= days {
        year += 1;
    }
    let mut rest = days - days_before(year);
    for (month, length) in
        [31, 28 + i64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].into_iter().enumerate()
    {
        if rest < length {
            return (year, month, rest + 1);
        }
        rest -= length;
    }
    (year, 11, 31)
}

/// Dates outside of these years make no sense in a chat, and searching for a year takes time.
const YEARS: std::ops::RangeInclusive<i64> = 1..=9999;

/// Writes a date as `format` says; the error is a directive that is not known, or a date that no
/// calendar has.
pub(super) fn strftime(seconds: i64, format: &str) -> Result<String, String> {
    let year = 1970 + seconds.div_euclid(SECONDS_PER_DAY * 366);
    if !YEARS.contains(&year) {
        return Err(format!("the date {seconds} s after 1970 is beyond the year {}", YEARS.end()));
    }
    let moment = Moment::new(seconds);
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let directive = chars.next();
        let (unpadded, directive) = if directive == Some('-') { (true, chars.next()) } else { (false, directive) };
        let text = directive.and_then(|directive| field(&moment, seconds, directive));
        let text = text.ok_or_else(|| format!("`strftime_now` does not know `%{}`", directive.unwrap_or('%')))?;
        let kept = text.trim_start_matches(['0', ' ']);
        out.push_str(if !unpadded {
            &text
        } else if kept.is_empty() {
            "0"
        } else {
            kept
        });
    }
    Ok(out)
}

fn field(moment: &Moment, seconds: i64, directive: char) -> Option<String> {
    let composed = |format: &str| strftime(seconds, format).ok();
    let week = |first: i64| (moment.day_of_year + 6 - first.rem_euclid(7)) / 7;
    let weekday = i64::try_from(moment.weekday).unwrap_or_default();
    Some(match directive {
        'Y' => moment.year.to_string(),
        'y' => format!("{:02}", moment.year % 100),
        'm' => format!("{:02}", moment.month + 1),
        'd' => format!("{:02}", moment.day),
        'e' => format!("{:2}", moment.day),
        'j' => format!("{:03}", moment.day_of_year),
        'B' => MONTHS[moment.month].to_owned(),
        'b' | 'h' => MONTHS[moment.month][..3].to_owned(),
        'A' => DAYS[moment.weekday].to_owned(),
        'a' => DAYS[moment.weekday][..3].to_owned(),
        'w' => weekday.to_string(),
        'u' => (if weekday == 0 { 7 } else { weekday }).to_string(),
        'U' => format!("{:02}", week(weekday)),
        'W' => format!("{:02}", week(weekday + 6)),
        'H' => format!("{:02}", moment.hour),
        'I' => format!("{:02}", (moment.hour + 11) % 12 + 1),
        'M' => format!("{:02}", moment.minute),
        'S' => format!("{:02}", moment.second),
        'p' => (if moment.hour < 12 { "AM" } else { "PM" }).to_owned(),
        'f' => "000000".to_owned(),
        'z' | 'Z' => String::new(),
        's' => seconds.to_string(),
        'D' | 'x' => composed("%m/%d/%y")?,
        'F' => composed("%Y-%m-%d")?,
        'T' | 'X' => composed("%H:%M:%S")?,
        'R' => composed("%H:%M")?,
        'r' => composed("%I:%M:%S %p")?,
        'c' => composed("%a %b %e %H:%M:%S %Y")?,
        'n' => "\n".to_owned(),
        't' => "\t".to_owned(),
        '%' => "%".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_what_python_writes() {
        let all = "%Y %y %m %d %e %j %B %b %A %a %w %u %U %W %H %I %M %S %p %F %T %c %-d %-m %% %z";
        let expected = "2024 24 02 29 29 060 February Feb Thursday Thu 4 4 08 09 12 12 34 56 PM 2024-02-29 12:34:56 Thu Feb 29 12:34:56 2024 29 2 % ";
        assert_eq!(strftime(1_709_210_096, all).as_deref(), Ok(expected));
        assert_eq!(strftime(0, "%d %b %Y").as_deref(), Ok("01 Jan 1970"));
        assert_eq!(strftime(-1, "%Y-%m-%d %H:%M:%S").as_deref(), Ok("1969-12-31 23:59:59"));
        assert_eq!(strftime(4_102_444_799, "%F").as_deref(), Ok("2099-12-31"));
    }

    #[test]
    fn what_no_calendar_has_is_refused() {
        assert!(strftime(0, "%Q").is_err());
        assert!(strftime(0, "%").is_err());
        assert!(strftime(i64::MAX, "%Y").is_err());
        assert!(strftime(i64::MIN, "%Y").is_err());
    }
}
