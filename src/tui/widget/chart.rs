//! Bars and sparklines.

use ratatui::style::Style;
use ratatui::text::Span;

/// A bar of `width` columns: how much of `total` each part is. A part that is not nothing shows at least once.
pub(in crate::tui) fn bar(parts: &[(u64, Style)], total: u64, width: usize, empty: Style) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let mut left = width;
    if total > 0 {
        for &(value, style) in parts {
            if value == 0 || left == 0 {
                continue;
            }
            let columns = (u128::from(value) * width as u128 / u128::from(total)) as usize;
            let columns = columns.clamp(1, left);
            left -= columns;
            spans.push(Span::styled("━".repeat(columns), style));
        }
    }
    if left > 0 {
        spans.push(Span::styled("─".repeat(left), empty));
    }
    spans
}

/// The last values as columns `rows` high, top row first; one column a value, at most `width`.
pub(in crate::tui) fn sparkline(values: &[u64], width: usize, rows: usize) -> Vec<String> {
    const STEPS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let values = &values[values.len().saturating_sub(width)..];
    let most = values.iter().copied().max().unwrap_or(0).max(1);
    let eighths = |value: u64| {
        let height = (u128::from(value) * (rows * 8) as u128).div_ceil(u128::from(most)) as usize;
        if value == 0 { 0 } else { height.max(1) }
    };
    (0..rows)
        .rev()
        .map(|row| values.iter().map(|&value| STEPS[eighths(value).saturating_sub(row * 8).min(8)]).collect())
        .collect()
}

/// The last of the values, as many as there is room for.
pub(in crate::tui) fn last<T>(values: &[T], width: usize) -> &[T] {
    &values[values.len().saturating_sub(width)..]
}

/// Two series of columns, the lower one in front of the higher one, top row first. The styles are theirs, in that order.
pub(in crate::tui) fn layered(
    low: &[u64],
    high: &[u64],
    rows: usize,
    styles: (Style, Style),
) -> Vec<Vec<Span<'static>>> {
    let most = high.iter().copied().max().unwrap_or(0).max(1);
    let columns = sparkline(high, high.len(), rows);
    let is_low = |at: usize, row: usize| {
        // whole rows from the bottom up, so that the two never share a cell
        let height = u128::from(low.get(at).copied().unwrap_or(0)) * rows as u128 / u128::from(most);
        ((rows - 1 - row) as u128) < height
    };
    let draw = |(row, text): (usize, &String)| {
        let mut spans: Vec<Span<'static>> = Vec::new();
        let mut run = (String::new(), false);
        for (at, column) in text.chars().enumerate() {
            let low = is_low(at, row);
            if low != run.1 && !run.0.is_empty() {
                let style = if run.1 { styles.0 } else { styles.1 };
                spans.push(Span::styled(std::mem::take(&mut run.0), style));
            }
            run.1 = low;
            run.0.push(column);
        }
        spans.push(Span::styled(run.0, if run.1 { styles.0 } else { styles.1 }));
        spans
    };
    columns.iter().enumerate().map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(parts: &[u64], total: u64) -> String {
        let parts: Vec<_> = parts.iter().map(|&value| (value, Style::new())).collect();
        bar(&parts, total, 10, Style::new()).iter().map(|span| span.content.to_string()).collect()
    }

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!(text(&[50], 100), "━━━━━─────");
        assert_eq!(text(&[100], 100), "━━━━━━━━━━");
        assert_eq!(text(&[999], 1000), "━━━━━━━━━─", "not full before it is done");
        assert_eq!(text(&[1], 1000), "━─────────");
        assert_eq!(text(&[0], 0), "──────────");
    }

    #[test]
    fn the_lower_series_stands_in_front() {
        use ratatui::style::Color;
        let (front, back) = (Style::new().fg(Color::Green), Style::new().fg(Color::Yellow));
        let rows = layered(&[4, 1, 0], &[8, 8, 4], 2, (front, back));
        let text = |row: &[Span]| row.iter().map(|span| span.content.to_string()).collect::<String>();
        assert_eq!(rows.iter().map(|row| text(row)).collect::<Vec<_>>(), ["██ ", "███"]);
        let styles: Vec<_> = rows[1].iter().map(|span| (span.content.len() / 3, span.style)).collect();
        assert_eq!(styles, [(1, front), (2, back)]);
        assert!(layered(&[], &[], 2, (front, back)).iter().all(|row| text(row).is_empty()));
    }

    #[test]
    fn a_sparkline_reaches_its_top() {
        assert_eq!(sparkline(&[0, 4, 8], 10, 1), [" ▄█"]);
        assert_eq!(sparkline(&[0, 8, 16], 2, 2), [" █", "██"]);
        assert_eq!(sparkline(&[], 5, 1), [""]);
    }
}
