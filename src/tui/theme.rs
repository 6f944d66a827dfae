//! The colours: a dozen with a meaning each, read from `themes/`; every style is made of them here.

mod depth;
mod palette;
mod shipped;

use std::sync::Arc;

use ratatui::style::{Color, Modifier, Style};

use super::widget::tree::Standing;
use crate::engine::SecretState;

pub use depth::ColorChoice;
pub(super) use depth::Depth;
pub(super) use palette::Palette;
use palette::Role;
pub(super) use shipped::Themes;

/// A theme, ready for this terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Theme {
    pub(super) name: Arc<str>,
    depth: Depth,
    /// By role.
    colors: [Color; Role::ALL.len()],
}

impl Theme {
    fn new(name: Arc<str>, palette: &Palette, depth: Depth) -> Self {
        Self { name, depth, colors: Role::ALL.map(|role| palette.ink(role).at(depth)) }
    }

    /// The shipped theme of this name.
    #[cfg(test)]
    pub(super) fn named(name: &str, depth: Depth) -> Option<Self> {
        Themes::shipped(depth).named(name)
    }

    fn color(&self, role: Role) -> Color {
        self.colors[role as usize]
    }

    pub(super) fn base(&self) -> Style {
        Style::new().fg(self.color(Role::Text)).bg(self.color(Role::Background))
    }

    pub(super) fn text(&self) -> Style {
        Style::new().fg(self.color(Role::Text))
    }

    pub(super) fn strong(&self) -> Style {
        self.text().add_modifier(Modifier::BOLD)
    }

    pub(super) fn muted(&self) -> Style {
        let style = Style::new().fg(self.color(Role::Muted));
        if self.depth == Depth::Monochrome { style.add_modifier(Modifier::DIM) } else { style }
    }

    pub(super) fn border(&self) -> Style {
        let style = Style::new().fg(self.color(Role::Border));
        if self.depth == Depth::Monochrome { style.add_modifier(Modifier::DIM) } else { style }
    }

    pub(super) fn accent(&self) -> Style {
        Style::new().fg(self.color(Role::Accent))
    }

    pub(super) fn title(&self) -> Style {
        self.accent().add_modifier(Modifier::BOLD)
    }

    /// Laid over a row, it keeps the row's own foreground colours where it can.
    pub(super) fn selected(&self) -> Style {
        match self.depth {
            Depth::Monochrome => Style::new().add_modifier(Modifier::REVERSED),
            _ => Style::new().bg(self.color(Role::Selection)).add_modifier(Modifier::BOLD),
        }
    }

    /// What can be pressed now, or the screen one is on.
    pub(super) fn active(&self) -> Style {
        self.filled(self.color(Role::Accent))
    }

    pub(super) fn badge_bad(&self) -> Style {
        self.filled(self.color(Role::Failed))
    }

    pub(super) fn badge_warning(&self) -> Style {
        self.filled(self.color(Role::Update))
    }

    /// Text in the colour of the background on an area of this colour.
    fn filled(&self, color: Color) -> Style {
        let style = Style::new().add_modifier(Modifier::BOLD);
        match self.color(Role::Background) {
            // Which colour the terminal has behind its text only it knows.
            Color::Reset => style.fg(color).add_modifier(Modifier::REVERSED),
            background => style.fg(background).bg(color),
        }
    }

    pub(super) fn good(&self) -> Style {
        Style::new().fg(self.color(Role::InSync))
    }

    pub(super) fn warning(&self) -> Style {
        Style::new().fg(self.color(Role::Update))
    }

    pub(super) fn bad(&self) -> Style {
        Style::new().fg(self.color(Role::Failed)).add_modifier(Modifier::BOLD)
    }

    pub(super) fn state(&self, state: SecretState) -> Style {
        match state {
            SecretState::InSync => self.good(),
            SecretState::Add => Style::new().fg(self.color(Role::Add)),
            SecretState::Update => Style::new().fg(self.color(Role::Update)),
            SecretState::Delete => Style::new().fg(self.color(Role::Delete)),
            SecretState::Failed => self.bad(),
            SecretState::Drifted => Style::new().fg(self.color(Role::Drifted)).add_modifier(Modifier::BOLD),
            SecretState::Excluded => self.muted(),
            SecretState::Unknown => Style::new().fg(self.color(Role::Unknown)).add_modifier(Modifier::BOLD),
        }
    }

    pub(super) fn standing(&self, standing: Standing) -> Style {
        standing.state().map_or_else(|| self.muted(), |state| self.state(state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_nothing_is_coloured() {
        let theme = Theme::named("dark", Depth::Monochrome).expect("a theme");
        for state in SecretState::ALL {
            assert_eq!(theme.state(state).fg, Some(Color::Reset));
        }
        assert!(theme.selected().add_modifier.contains(Modifier::REVERSED));
    }
}
