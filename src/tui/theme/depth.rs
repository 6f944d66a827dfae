//! How many colours the terminal has, and which of them is nearest to a theme's.

use ratatui::style::Color;

use super::palette::Ink;

/// Whether to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ColorChoice {
    /// As `NO_COLOR`, `COLORTERM` and `TERM` say.
    #[default]
    Auto,
    /// Even when `NO_COLOR` is set.
    Always,
    /// None.
    Never,
}

/// How many colours the terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Depth {
    Monochrome,
    Sixteen,
    Indexed,
    True,
}

impl Depth {
    /// Decides once, from the flag and the environment.
    pub(in crate::tui) fn detect(choice: ColorChoice, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default();
        let refused = match choice {
            ColorChoice::Never => true,
            ColorChoice::Always => false,
            ColorChoice::Auto => set("NO_COLOR").is_some() || term == "dumb",
        };
        let colorterm = set("COLORTERM").unwrap_or_default();
        if refused {
            Self::Monochrome
        } else if colorterm == "truecolor" || colorterm == "24bit" || term.ends_with("-direct") {
            Self::True
        } else if term.contains("256color") {
            Self::Indexed
        } else {
            Self::Sixteen
        }
    }
}

impl Ink {
    /// The nearest colour the terminal has.
    pub(super) fn at(self, depth: Depth) -> Color {
        match (depth, self.rgb) {
            (Depth::Monochrome, _) => Color::Reset,
            (Depth::Sixteen, _) | (_, None) => self.ansi.color(),
            (Depth::Indexed, Some((r, g, b))) => Color::Indexed(nearest(r, g, b)),
            (Depth::True, Some((r, g, b))) => Color::Rgb(r, g, b),
        }
    }
}

/// The index of the nearest colour in the 6×6×6 cube or the grey ramp of a 256-colour terminal.
fn nearest(r: u8, g: u8, b: u8) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let level = |value: u8| (0..6_u8).min_by_key(|&at| LEVELS[usize::from(at)].abs_diff(value)).unwrap_or(0);
    let distance = |x: (u8, u8, u8)| {
        let part = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
        part(x.0, r) + part(x.1, g) + part(x.2, b)
    };
    let (cr, cg, cb) = (level(r), level(g), level(b));
    let cube = (LEVELS[usize::from(cr)], LEVELS[usize::from(cg)], LEVELS[usize::from(cb)]);
    let grey = (0..24_u8).min_by_key(|&at| distance((8 + 10 * at, 8 + 10 * at, 8 + 10 * at))).unwrap_or(0);
    let ramp = 8 + 10 * grey;
    if distance((ramp, ramp, ramp)) < distance(cube) { 232 + grey } else { 16 + 36 * cr + 6 * cg + cb }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(choice: ColorChoice, variables: &[(&str, &str)]) -> Depth {
        Depth::detect(choice, |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn colours_are_decided_once() {
        use ColorChoice::{Always, Auto, Never};
        assert_eq!(depth(Auto, &[("TERM", "xterm"), ("COLORTERM", "truecolor")]), Depth::True);
        assert_eq!(depth(Auto, &[("TERM", "tmux-256color")]), Depth::Indexed);
        assert_eq!(depth(Auto, &[("TERM", "linux")]), Depth::Sixteen);
        assert_eq!(depth(Auto, &[("TERM", "xterm-256color"), ("NO_COLOR", "1")]), Depth::Monochrome);
        assert_eq!(depth(Auto, &[("TERM", "xterm-256color"), ("NO_COLOR", "")]), Depth::Indexed, "empty means unset");
        assert_eq!(depth(Auto, &[("TERM", "dumb")]), Depth::Monochrome);
        assert_eq!(depth(Always, &[("TERM", "xterm-256color"), ("NO_COLOR", "1")]), Depth::Indexed);
        assert_eq!(depth(Never, &[("COLORTERM", "truecolor")]), Depth::Monochrome);
    }

    #[test]
    fn the_nearest_indexed_colour() {
        assert_eq!(nearest(255, 0, 0), 196);
        assert_eq!(nearest(0, 0, 0), 16);
        assert_eq!(nearest(118, 118, 118), 243);
    }
}
