//! The themes there are: those that are compiled in, and the user's.

use std::sync::Arc;

use super::{Depth, Palette, Theme};

/// The themes that are compiled in: name and file.
const SHIPPED: [(&str, &str); 7] = [
    ("dark", include_str!("../../../themes/dark.toml")),
    ("light", include_str!("../../../themes/light.toml")),
    ("high-contrast", include_str!("../../../themes/high-contrast.toml")),
    ("sixteen", include_str!("../../../themes/sixteen.toml")),
    ("solarized", include_str!("../../../themes/solarized.toml")),
    ("ember", include_str!("../../../themes/ember.toml")),
    ("fjord", include_str!("../../../themes/fjord.toml")),
];

/// Themes by name, in the order in which a key goes through them.
#[derive(Debug, Clone)]
pub(in crate::tui) struct Themes {
    depth: Depth,
    known: Vec<(Arc<str>, Palette)>,
}

impl Themes {
    /// Those that are compiled in, for a terminal with so many colours.
    pub(in crate::tui) fn shipped(depth: Depth) -> Self {
        let nothing = |_: &str| Err(String::new());
        // The files are compiled in, and a test reads every one of them.
        let read = |(name, text): (&str, &str)| Some((name.into(), Palette::read(text, nothing).ok()?));
        Self { depth, known: SHIPPED.into_iter().filter_map(read).collect() }
    }

    /// The shipped ones and these, which replace those of the same name.
    pub(in crate::tui) fn with(mut self, own: impl IntoIterator<Item = (String, Palette)>) -> Self {
        for (name, palette) in own {
            match self.known.iter_mut().find(|(known, _)| **known == *name) {
                Some((_, before)) => *before = palette,
                None => self.known.push((name.into(), palette)),
            }
        }
        self
    }

    /// The names there are.
    pub(in crate::tui) fn names(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(|(name, _)| &**name)
    }

    /// The theme of this name; `None` if there is none.
    pub(in crate::tui) fn named(&self, name: &str) -> Option<Theme> {
        let (name, palette) = self.known.iter().find(|(known, _)| **known == *name)?;
        Some(Theme::new(Arc::clone(name), palette, self.depth))
    }

    /// The colours of a theme, for another one to be based on.
    ///
    /// # Errors
    /// Which themes there are instead.
    pub(in crate::tui) fn palette(&self, name: &str) -> Result<Palette, String> {
        let found = self.known.iter().find(|(known, _)| **known == *name);
        found.map(|(_, palette)| *palette).ok_or_else(|| self.missing(name))
    }

    /// Says that there is no such theme.
    pub(in crate::tui) fn missing(&self, name: &str) -> String {
        format!("there is no theme \"{name}\"; there are {}", self.names().collect::<Vec<_>>().join(", "))
    }

    /// The theme after this one, around the end.
    pub(in crate::tui) fn after(&self, name: &str) -> Option<Theme> {
        let next = self.known.iter().position(|(known, _)| **known == *name).map_or(0, |at| at + 1);
        let (name, palette) = self.known.get(next % self.known.len().max(1))?;
        Some(Theme::new(Arc::clone(name), palette, self.depth))
    }
}

#[cfg(test)]
mod tests {
    use super::super::palette::Role;
    use super::*;

    #[test]
    fn every_theme_reads() {
        for (name, text) in SHIPPED {
            if let Err(error) = Palette::read(text, |_| Err("a shipped theme stands alone".to_owned())) {
                panic!("{name}.toml:{error}");
            }
            for depth in [Depth::Monochrome, Depth::Sixteen, Depth::Indexed, Depth::True] {
                assert!(Themes::shipped(depth).named(name).is_some(), "{name}");
            }
        }
        assert!(Themes::shipped(Depth::True).named("no such").is_none());
    }

    #[test]
    fn the_key_goes_through_all_and_comes_round() {
        let own = Themes::shipped(Depth::True).palette("light").expect("a theme");
        let themes = Themes::shipped(Depth::True).with([("mine".to_owned(), own), ("dark".to_owned(), own)]);
        let mut seen = vec!["dark".to_owned()];
        while let Some(next) = themes.after(&seen[seen.len() - 1]).filter(|next| *next.name != *seen[0]) {
            seen.push(next.name.to_string());
        }
        assert_eq!(seen, ["dark", "light", "high-contrast", "sixteen", "solarized", "ember", "fjord", "mine"]);
        let (dark, light) = (themes.palette("dark"), themes.palette("light"));
        assert_eq!(dark, light, "a user's theme stands in for the shipped one of its name");
    }

    /// How much two colours differ in brightness, from 1 to 21, as WCAG 2.2 measures it.
    fn contrast(a: (u8, u8, u8), b: (u8, u8, u8)) -> f64 {
        let luminance = |(r, g, b): (u8, u8, u8)| {
            let linear = |part: u8| {
                let part = f64::from(part) / 255.0;
                if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
        };
        let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
        if a > b { a / b } else { b / a }
    }

    #[test]
    fn what_is_written_can_be_read_on_sixteen_colours() {
        for (name, text) in SHIPPED {
            let palette = Palette::read(text, |_| Err(String::new())).expect("it reads");
            let ansi = |role| palette.ink(role).ansi;
            for role in Role::ALL.into_iter().filter(|role| !matches!(role, Role::Border | Role::Selection)) {
                assert_ne!(ansi(role), ansi(Role::Selection), "{name}: {} on the selection", role.as_str());
            }
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        assert!((contrast((0, 0, 0), (255, 255, 255)) - 21.0).abs() < 1e-9);
        for (name, text) in SHIPPED {
            let palette = Palette::read(text, |_| Err(String::new())).expect("it reads");
            let rgb = |role| palette.ink(role).rgb;
            let Some(background) = rgb(Role::Background) else {
                assert!(Role::ALL.iter().all(|role| rgb(*role).is_none()), "{name} mixes its own and others' colours");
                continue;
            };
            let high = name == "high-contrast";
            for role in Role::ALL.into_iter().filter(|role| !matches!(role, Role::Background | Role::Border)) {
                let color = rgb(role).expect("every colour of a theme with a background has one");
                let [on_background, on_selection] =
                    [background, rgb(Role::Selection).expect("a colour")].map(|below| contrast(color, below));
                let (least, least_selected) = match role {
                    // Rows that are selected must be seen, and what is in them be read.
                    Role::Selection => (if high { 1.5 } else { 1.15 }, 1.0),
                    Role::Text => (if high { 7.0 } else { 4.5 }, if high { 7.0 } else { 4.5 }),
                    _ => (if high { 7.0 } else { 3.0 }, if high { 4.5 } else { 2.5 }),
                };
                let role = role.as_str();
                assert!(on_background >= least, "{name}: {role} on the background: {on_background:.2} < {least}");
                assert!(
                    on_selection >= least_selected,
                    "{name}: {role} on the selection: {on_selection:.2} < {least_selected}"
                );
            }
        }
    }
}
