//! Two parts of a screen with a divider between them that can be moved.

use ratatui::layout::{Direction, Position, Rect};

/// How an area is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) struct Split {
    direction: Direction,
    area: Rect,
    /// What each part needs at least, in columns or rows.
    least: [u16; 2],
    /// Columns or rows of the second part.
    second: u16,
}

/// The second part's share of the whole, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) struct Share(u16);

impl Split {
    /// Divides an area. The second part gets its `share` if the operator has chosen one, else `usual` columns or rows;
    /// no part less than it needs at least, unless there is not enough for both.
    pub(in crate::tui) fn new(
        direction: Direction,
        area: Rect,
        share: Option<Share>,
        usual: u16,
        least: [u16; 2],
    ) -> Self {
        let mut split = Self { direction, area, least, second: 0 };
        let whole = u32::from(split.whole());
        let wanted =
            share.map_or(usual, |share| u16::try_from((whole * u32::from(share.0) + 500) / 1000).unwrap_or(u16::MAX));
        split.second = split.within(wanted);
        split
    }

    /// The parts, side by side or one above the other.
    pub(in crate::tui) fn parts(&self) -> [Rect; 2] {
        let first = self.whole() - self.second;
        match self.direction {
            Direction::Horizontal => {
                [Rect { width: first, ..self.area }, Rect { x: self.area.x + first, width: self.second, ..self.area }]
            }
            Direction::Vertical => {
                [Rect { height: first, ..self.area }, Rect { y: self.area.y + first, height: self.second, ..self.area }]
            }
        }
    }

    /// How the parts lie.
    pub(in crate::tui) fn direction(&self) -> Direction {
        self.direction
    }

    /// Whether the divider is there: the borders that touch each other. Of parts that lie above each other it is only
    /// the lower one's, for the upper one's may hold something else.
    pub(in crate::tui) fn is_divider(&self, at: Position) -> bool {
        let [first, second] = self.parts();
        self.area.contains(at)
            && match self.direction {
                Direction::Horizontal => at.x + 1 == first.right() || at.x == second.x,
                Direction::Vertical => at.y == second.y,
            }
    }

    /// Whether the second part is there.
    pub(in crate::tui) fn is_second(&self, at: Position) -> bool {
        self.parts()[1].contains(at)
    }

    /// The share when the divider is dragged to this place.
    pub(in crate::tui) fn dragged_to(&self, at: Position) -> Share {
        let second = match self.direction {
            Direction::Horizontal => self.area.right().saturating_sub(at.x),
            Direction::Vertical => self.area.bottom().saturating_sub(at.y),
        };
        self.share(second)
    }

    /// The share when the divider goes so many columns or rows further to the end, or to the start if negative.
    pub(in crate::tui) fn moved(&self, by: i16) -> Share {
        self.share(self.second.saturating_add_signed(-by))
    }

    fn share(&self, second: u16) -> Share {
        let whole = u32::from(self.whole().max(1));
        Share(u16::try_from((u32::from(self.within(second)) * 1000 + whole / 2) / whole).unwrap_or(1000))
    }

    fn within(&self, second: u16) -> u16 {
        let [first_least, second_least] = self.least;
        let most = self.whole().saturating_sub(first_least).max(self.whole() / 2);
        second.max(second_least).min(most)
    }

    fn whole(&self) -> u16 {
        match self.direction {
            Direction::Horizontal => self.area.width,
            Direction::Vertical => self.area.height,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Rect = Rect { x: 0, y: 2, width: 120, height: 37 };

    fn beside(share: Option<Share>) -> Split {
        Split::new(Direction::Horizontal, AREA, share, 48, [40, 30])
    }

    #[test]
    fn the_divider_goes_where_it_is_dragged() {
        let split = beside(None);
        let [first, second] = split.parts();
        assert_eq!((first.width, second.x, second.width), (72, 72, 48));
        assert!(split.is_divider(Position::new(71, 9)) && split.is_divider(Position::new(72, 9)));
        assert!(!split.is_divider(Position::new(70, 9)) && !split.is_divider(Position::new(72, 1)));
        for to in 40..=90 {
            let moved = beside(Some(split.dragged_to(Position::new(to, 5))));
            assert_eq!(moved.parts()[1].x, to);
        }
    }

    #[test]
    fn no_part_is_dragged_away() {
        let split = beside(None);
        assert_eq!(beside(Some(split.dragged_to(Position::new(0, 5)))).parts()[0].width, 40);
        assert_eq!(beside(Some(split.dragged_to(Position::new(119, 5)))).parts()[1].width, 30);
        let small = Split::new(Direction::Vertical, Rect { height: 10, ..AREA }, None, 9, [8, 8]);
        assert_eq!(small.parts().map(|part| part.height), [5, 5]);
    }

    #[test]
    fn keys_move_it_by_columns() {
        let split = beside(None);
        assert_eq!(beside(Some(split.moved(4))).parts()[1].width, 44);
        assert_eq!(beside(Some(split.moved(-4))).parts()[1].width, 52);
    }

    #[test]
    fn a_share_outlives_a_resize() {
        let share = beside(None).dragged_to(Position::new(60, 5));
        let wider = Split::new(Direction::Horizontal, Rect { width: 240, ..AREA }, Some(share), 48, [40, 30]);
        assert_eq!(wider.parts()[1].width, 120);
    }
}
