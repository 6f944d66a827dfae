//! Terminals and locales without UTF-8.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Whether the locale cannot show more than ASCII. Says so only if the locale does: containers often have none, and
/// their terminals are fine.
pub(in crate::tui) fn needs_ascii(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| variable(name).filter(|v| !v.is_empty()));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        !locale.contains("utf-8") && !locale.contains("utf8")
    })
}

/// Replaces what an ASCII terminal cannot show.
pub(super) fn to_ascii(area: Rect, buffer: &mut Buffer) {
    for position in area.positions() {
        let Some(cell) = buffer.cell_mut(position) else { continue };
        if cell.symbol().is_ascii() {
            continue;
        }
        let symbol = match cell.symbol() {
            "╭" | "╮" | "╰" | "╯" => "+",
            "─" | "–" => "-",
            "━" | "▃" | "▄" | "▅" => "=",
            "▆" | "▇" | "█" => "#",
            "▁" | "▂" => "_",
            "│" | "├" | "┤" => "|",
            "∅" | "○" => "o",
            // A full stop before a slash would read as this folder.
            "…" => "~",
            "·" => ".",
            "▸" | "→" | "›" => ">",
            "▾" | "↓" => "v",
            "↑" => "^",
            "←" => "<",
            "●" | "×" => "x",
            "◐" => "/",
            "◆" => "@",
            "✕" => "%",
            _ => "?",
        };
        cell.set_symbol(symbol);
    }
}

#[cfg(test)]
mod tests {
    use super::needs_ascii;

    #[test]
    fn only_a_locale_that_says_so_is_ascii() {
        let with = |value: Option<&str>| needs_ascii(|name| value.filter(|_| name == "LANG").map(str::to_owned));
        assert!(!with(None));
        assert!(!with(Some("de_DE.UTF-8")));
        assert!(!with(Some("C.utf8")));
        assert!(with(Some("C")));
        assert!(with(Some("de_DE.ISO-8859-1")));
    }
}
