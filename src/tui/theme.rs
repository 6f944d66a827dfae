//! The colours: a dozen with a meaning each, read from `themes/`; every style is made of them here.

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use super::widget::tree::Standing;
use crate::engine::SecretState;

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
pub(super) enum Depth {
    Monochrome,
    Sixteen,
    Indexed,
    True,
}

impl Depth {
    /// Decides once, from the flag and the environment.
    pub(super) fn detect(choice: ColorChoice, variable: impl Fn(&str) -> Option<String>) -> Self {
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

/// The themes that are compiled in: name and text.
const THEMES: [(&str, &str); 2] =
    [("dark", include_str!("../../themes/dark.toml")), ("light", include_str!("../../themes/light.toml"))];

/// A colour as a theme's file gives it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ink {
    rgb: Color,
    ansi: Ansi,
}

/// One of the sixteen, or the terminal's own.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Ansi {
    Default,
    Black,
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
    Cyan,
    Gray,
    DarkGray,
    LightRed,
    LightGreen,
    LightYellow,
    LightBlue,
    LightMagenta,
    LightCyan,
    White,
}

/// A theme's file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Palette {
    background: Ink,
    text: Ink,
    muted: Ink,
    border: Ink,
    accent: Ink,
    selection: Ink,
    in_sync: Ink,
    add: Ink,
    update: Ink,
    delete: Ink,
    failed: Ink,
    drifted: Ink,
    unknown: Ink,
}

/// A theme, ready for this terminal.
#[derive(Debug, Clone)]
pub(super) struct Theme {
    pub(super) name: &'static str,
    depth: Depth,
    background: Color,
    text: Color,
    muted: Color,
    border: Color,
    accent: Color,
    selection: Color,
    in_sync: Color,
    add: Color,
    update: Color,
    delete: Color,
    failed: Color,
    drifted: Color,
    unknown: Color,
}

impl Theme {
    /// The names there are.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        THEMES.iter().map(|(name, _)| *name)
    }

    /// The theme of this name; `None` if there is none.
    pub(super) fn named(name: &str, depth: Depth) -> Option<Self> {
        let (name, text) = THEMES.iter().find(|(known, _)| *known == name)?;
        // The files are compiled in and every one of them is read by a test.
        let palette: Palette = toml::from_str(text).ok()?;
        let color = |ink: &Ink| downgrade(ink, depth);
        Some(Self {
            name,
            depth,
            background: color(&palette.background),
            text: color(&palette.text),
            muted: color(&palette.muted),
            border: color(&palette.border),
            accent: color(&palette.accent),
            selection: color(&palette.selection),
            in_sync: color(&palette.in_sync),
            add: color(&palette.add),
            update: color(&palette.update),
            delete: color(&palette.delete),
            failed: color(&palette.failed),
            drifted: color(&palette.drifted),
            unknown: color(&palette.unknown),
        })
    }

    /// The theme after this one.
    pub(super) fn next(&self) -> Option<Self> {
        let at = THEMES.iter().position(|(name, _)| *name == self.name)?;
        Self::named(THEMES[(at + 1) % THEMES.len()].0, self.depth)
    }

    pub(super) fn base(&self) -> Style {
        Style::new().fg(self.text).bg(self.background)
    }

    pub(super) fn text(&self) -> Style {
        Style::new().fg(self.text)
    }

    pub(super) fn strong(&self) -> Style {
        self.text().add_modifier(Modifier::BOLD)
    }

    pub(super) fn muted(&self) -> Style {
        let style = Style::new().fg(self.muted);
        if self.depth == Depth::Monochrome { style.add_modifier(Modifier::DIM) } else { style }
    }

    pub(super) fn border(&self) -> Style {
        let style = Style::new().fg(self.border);
        if self.depth == Depth::Monochrome { style.add_modifier(Modifier::DIM) } else { style }
    }

    pub(super) fn accent(&self) -> Style {
        Style::new().fg(self.accent)
    }

    pub(super) fn title(&self) -> Style {
        self.accent().add_modifier(Modifier::BOLD)
    }

    /// Laid over a row, it keeps the row's own foreground colours where it can.
    pub(super) fn selected(&self) -> Style {
        match self.depth {
            Depth::Monochrome => Style::new().add_modifier(Modifier::REVERSED),
            _ => Style::new().bg(self.selection).add_modifier(Modifier::BOLD),
        }
    }

    /// What can be pressed now, or the screen one is on.
    pub(super) fn active(&self) -> Style {
        match self.depth {
            Depth::Monochrome => Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD),
            // Which colour a terminal of sixteen has behind its text only it knows.
            Depth::Sixteen => self.accent().add_modifier(Modifier::REVERSED | Modifier::BOLD),
            _ => Style::new().fg(self.background).bg(self.accent).add_modifier(Modifier::BOLD),
        }
    }

    pub(super) fn badge_bad(&self) -> Style {
        self.badge(self.failed)
    }

    pub(super) fn badge_warning(&self) -> Style {
        self.badge(self.update)
    }

    fn badge(&self, color: Color) -> Style {
        match self.depth {
            Depth::Monochrome => Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD),
            Depth::Sixteen => Style::new().fg(color).add_modifier(Modifier::REVERSED | Modifier::BOLD),
            _ => Style::new().fg(self.background).bg(color).add_modifier(Modifier::BOLD),
        }
    }

    pub(super) fn good(&self) -> Style {
        Style::new().fg(self.in_sync)
    }

    pub(super) fn warning(&self) -> Style {
        Style::new().fg(self.update)
    }

    pub(super) fn bad(&self) -> Style {
        Style::new().fg(self.failed).add_modifier(Modifier::BOLD)
    }

    pub(super) fn state(&self, state: SecretState) -> Style {
        match state {
            SecretState::InSync => self.good(),
            SecretState::Add => Style::new().fg(self.add),
            SecretState::Update => Style::new().fg(self.update),
            SecretState::Delete => Style::new().fg(self.delete),
            SecretState::Failed => self.bad(),
            SecretState::Drifted => Style::new().fg(self.drifted).add_modifier(Modifier::BOLD),
            SecretState::Excluded => self.muted(),
            SecretState::Unknown => Style::new().fg(self.unknown).add_modifier(Modifier::BOLD),
        }
    }

    pub(super) fn standing(&self, standing: Standing) -> Style {
        standing.state().map_or_else(|| self.muted(), |state| self.state(state))
    }
}

/// The nearest colour the terminal has.
fn downgrade(ink: &Ink, depth: Depth) -> Color {
    match depth {
        Depth::Monochrome => Color::Reset,
        Depth::Sixteen => match ink.ansi {
            Ansi::Default => Color::Reset,
            Ansi::Black => Color::Black,
            Ansi::Red => Color::Red,
            Ansi::Green => Color::Green,
            Ansi::Yellow => Color::Yellow,
            Ansi::Blue => Color::Blue,
            Ansi::Magenta => Color::Magenta,
            Ansi::Cyan => Color::Cyan,
            Ansi::Gray => Color::Gray,
            Ansi::DarkGray => Color::DarkGray,
            Ansi::LightRed => Color::LightRed,
            Ansi::LightGreen => Color::LightGreen,
            Ansi::LightYellow => Color::LightYellow,
            Ansi::LightBlue => Color::LightBlue,
            Ansi::LightMagenta => Color::LightMagenta,
            Ansi::LightCyan => Color::LightCyan,
            Ansi::White => Color::White,
        },
        Depth::Indexed => match ink.rgb {
            Color::Rgb(r, g, b) => Color::Indexed(nearest(r, g, b)),
            other => other,
        },
        Depth::True => ink.rgb,
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
    fn every_theme_reads() {
        for name in Theme::names() {
            for depth in [Depth::Monochrome, Depth::Sixteen, Depth::Indexed, Depth::True] {
                assert!(Theme::named(name, depth).is_some(), "{name}");
            }
        }
        assert!(Theme::named("no such", Depth::True).is_none());
    }

    #[test]
    fn the_next_theme_comes_round() {
        let dark = Theme::named("dark", Depth::True).expect("a theme");
        let light = dark.next().expect("a theme");
        assert_eq!(light.name, "light");
        assert_eq!(light.next().expect("a theme").name, "dark");
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
    fn without_colours_nothing_is_coloured() {
        let theme = Theme::named("dark", Depth::Monochrome).expect("a theme");
        for state in SecretState::ALL {
            assert_eq!(theme.state(state).fg, Some(Color::Reset));
        }
        assert!(theme.selected().add_modifier.contains(Modifier::REVERSED));
    }

    #[test]
    fn the_nearest_indexed_colour() {
        assert_eq!(nearest(255, 0, 0), 196);
        assert_eq!(nearest(0, 0, 0), 16);
        assert_eq!(nearest(118, 118, 118), 243);
    }
}
