//! A word that must not be overlooked.

use ratatui::text::Span;

use crate::tui::theme::Theme;

/// How wide the badge of production is.
pub(in crate::tui) const PRODUCTION: usize = 6;

/// Marks a destination as production.
pub(in crate::tui) fn production(theme: &Theme) -> Span<'static> {
    bad(theme, "PROD")
}

/// Something is dangerous.
pub(in crate::tui) fn bad(theme: &Theme, word: &str) -> Span<'static> {
    Span::styled(format!(" {word} "), theme.badge_bad())
}

/// Something is out of the ordinary.
pub(in crate::tui) fn warning(theme: &Theme, word: &str) -> Span<'static> {
    Span::styled(format!(" {word} "), theme.badge_warning())
}
