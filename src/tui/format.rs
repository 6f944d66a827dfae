//! Numbers, durations and times as the console writes them.

use std::time::Duration;

use jiff::Timestamp;

/// `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// At most four columns: `999`, `1.2k`, `34k`, `1.2M`.
pub(super) fn short(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..10_000 => format!("{}.{}k", number / 1_000, number % 1_000 / 100),
        10_000..1_000_000 => format!("{}k", number / 1_000),
        1_000_000..10_000_000 => format!("{}.{}M", number / 1_000_000, number % 1_000_000 / 100_000),
        _ => format!("{}M", number / 1_000_000),
    }
}

/// `3 secrets`, `1 secret`.
pub(super) fn plural(number: u64, one: &str) -> String {
    format!("{} {one}{}", count(number), if number == 1 { "" } else { "s" })
}

/// Two units: `12ms`, `4.2s`, `3m 07s`, `5h 12m`, `31d 4h`.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{}ms", duration.as_millis()),
        1..60 => format!("{seconds}.{}s", duration.subsec_millis() / 100),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// `12.3/s`, `140/s`.
pub(super) fn rate(rate: f64) -> String {
    if rate < 99.95 { format!("{rate:.1}/s") } else { format!("{rate:.0}/s") }
}

/// `2026-11-23 21:40:03Z`.
pub(super) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `21:40:03Z`.
pub(super) fn clock(time: Timestamp) -> String {
    time.strftime("%H:%M:%SZ").to_string()
}

/// `11-23 21:40Z`.
pub(super) fn day_and_minute(time: Timestamp) -> String {
    time.strftime("%m-%d %H:%MZ").to_string()
}

/// `98.5%`; never 100 before it is.
pub(super) fn percent(part: u64, total: u64) -> String {
    if total == 0 {
        return "–".to_owned();
    }
    let tenths = u128::from(part) * 1_000 / u128::from(total);
    if tenths.is_multiple_of(10) { format!("{}%", tenths / 10) } else { format!("{}.{}%", tenths / 10, tenths % 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([999, 1_250, 34_567, 999_999, 1_200_000].map(short), ["999", "1.2k", "34k", "999k", "1.2M"]);
        assert_eq!(
            [(0, 0), (1, 3), (999, 1_000), (9_999, 10_000), (5, 5)].map(|(part, all)| percent(part, all)),
            ["–", "33.3%", "99.9%", "99.9%", "100%"]
        );
        assert_eq!(plural(1, "task") + &plural(2, "task"), "1 task2 tasks");
    }

    #[test]
    fn durations() {
        let text = |millis| duration(Duration::from_millis(millis));
        assert_eq!(
            [12, 4_250, 187_000, 18_720_000, 2_692_800_000].map(text),
            ["12ms", "4.2s", "3m 07s", "5h 12m", "31d 4h"]
        );
    }
}
