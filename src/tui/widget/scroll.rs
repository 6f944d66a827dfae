//! A cursor in a list of which only a window shows.

use std::ops::Range;

use ratatui::layout::{Position, Rect};

/// The row the cursor is on, and the first row that shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::tui) struct Scroll {
    row: usize,
    top: usize,
}

/// Where to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Move {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
}

impl Scroll {
    /// The row the cursor is on; valid after [`Scroll::settle`] unless the list is empty.
    pub(in crate::tui) fn row(&self) -> usize {
        self.row
    }

    /// Puts the cursor on a row.
    pub(in crate::tui) fn select(&mut self, row: usize) {
        self.row = row;
    }

    /// So many rows at the top of the list are gone: cursor and window stay on theirs.
    pub(in crate::tui) fn lose(&mut self, rows: usize) {
        self.row = self.row.saturating_sub(rows);
        self.top = self.top.saturating_sub(rows);
    }

    /// Moves in a list of `len` rows of which `height` show.
    pub(in crate::tui) fn go(&mut self, to: Move, len: usize, height: usize) {
        let page = height.saturating_sub(1).max(1);
        self.row = match to {
            Move::Up => self.row.saturating_sub(1),
            Move::Down => self.row + 1,
            Move::PageUp => self.row.saturating_sub(page),
            Move::PageDown => self.row + page,
            Move::First => 0,
            Move::Last => len,
        };
        self.settle(len, height);
    }

    /// Brings the cursor into the list and the window to the cursor.
    pub(in crate::tui) fn settle(&mut self, len: usize, height: usize) {
        self.row = self.row.min(len.saturating_sub(1));
        self.top = self.window(len, height).start;
    }

    /// The row that was clicked on, if `rows` is where they show, one a line.
    pub(in crate::tui) fn row_at(&self, rows: Rect, at: Position, len: usize) -> Option<usize> {
        let window = self.window(len, usize::from(rows.height));
        let row = window.start + usize::from(at.y.saturating_sub(rows.y));
        (rows.contains(at) && window.contains(&row)).then_some(row)
    }

    /// The rows that show.
    pub(in crate::tui) fn window(&self, len: usize, height: usize) -> Range<usize> {
        let lowest = (self.row + 1).saturating_sub(height);
        let top = self.top.clamp(lowest, self.row.max(lowest)).min(len.saturating_sub(height));
        top..(top + height).min(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_follows_the_cursor() {
        let mut scroll = Scroll::default();
        scroll.go(Move::Down, 100, 10);
        assert_eq!((scroll.row(), scroll.window(100, 10)), (1, 0..10));
        scroll.go(Move::Last, 100, 10);
        assert_eq!((scroll.row(), scroll.window(100, 10)), (99, 90..100));
        scroll.go(Move::Up, 100, 10);
        assert_eq!(scroll.window(100, 10), 90..100, "it moves only when it must");
        scroll.go(Move::PageUp, 100, 10);
        assert_eq!((scroll.row(), scroll.window(100, 10)), (89, 89..99));
        scroll.settle(5, 10);
        assert_eq!((scroll.row(), scroll.window(5, 10)), (4, 0..5), "the list became shorter");
        scroll.lose(3);
        assert_eq!(scroll.row(), 1);
        scroll.settle(0, 10);
        assert_eq!((scroll.row(), scroll.window(0, 10)), (0, 0..0));
        scroll.go(Move::Down, 3, 0);
        assert!(scroll.window(3, 0).is_empty());
    }
}
