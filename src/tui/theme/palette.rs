//! A theme's file: a colour for each meaning.

use std::ops::Range;

use ratatui::style::Color;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::text::nearest;

/// What a colour means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Background,
    Text,
    Muted,
    Border,
    Accent,
    Selection,
    InSync,
    Add,
    Update,
    Delete,
    Failed,
    Drifted,
    Unknown,
}

impl Role {
    pub(super) const ALL: [Self; 13] = [
        Self::Background,
        Self::Text,
        Self::Muted,
        Self::Border,
        Self::Accent,
        Self::Selection,
        Self::InSync,
        Self::Add,
        Self::Update,
        Self::Delete,
        Self::Failed,
        Self::Drifted,
        Self::Unknown,
    ];

    /// As a theme's file calls it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::Text => "text",
            Self::Muted => "muted",
            Self::Border => "border",
            Self::Accent => "accent",
            Self::Selection => "selection",
            Self::InSync => "in_sync",
            Self::Add => "add",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Failed => "failed",
            Self::Drifted => "drifted",
            Self::Unknown => "unknown",
        }
    }
}

/// The colours of a theme, whatever the terminal has; by role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) struct Palette([Ink; Role::ALL.len()]);

/// One colour: for terminals with many, and for those with sixteen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ink {
    /// `None`: `ansi` holds everywhere.
    pub(super) rgb: Option<(u8, u8, u8)>,
    pub(super) ansi: Ansi,
}

/// One of the sixteen, or the terminal's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ansi {
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

impl Ansi {
    pub(super) fn color(self) -> Color {
        match self {
            Self::Default => Color::Reset,
            Self::Black => Color::Black,
            Self::Red => Color::Red,
            Self::Green => Color::Green,
            Self::Yellow => Color::Yellow,
            Self::Blue => Color::Blue,
            Self::Magenta => Color::Magenta,
            Self::Cyan => Color::Cyan,
            Self::Gray => Color::Gray,
            Self::DarkGray => Color::DarkGray,
            Self::LightRed => Color::LightRed,
            Self::LightGreen => Color::LightGreen,
            Self::LightYellow => Color::LightYellow,
            Self::LightBlue => Color::LightBlue,
            Self::LightMagenta => Color::LightMagenta,
            Self::LightCyan => Color::LightCyan,
            Self::White => Color::White,
        }
    }
}

/// What is wrong with a theme's file, and in which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {message}")]
pub(in crate::tui) struct PaletteError {
    line: usize,
    message: String,
}

/// The key with the theme that colours are taken from which the file leaves out.
const BASE: &str = "base";

impl Palette {
    /// Reads a theme's file; `named` knows the themes that it may be based on.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(in crate::tui) fn read(text: &str, named: impl Fn(&str) -> Result<Self, String>) -> Result<Self, PaletteError> {
        let wrong = |span: Range<usize>, message: String| PaletteError { line: line(text, span.start), message };
        let file = DeTable::parse(text)
            .map_err(|error| wrong(error.span().unwrap_or_default(), error.message().replace('\n', ", ")))?;
        let mut inks = [None; Role::ALL.len()];
        let mut base = None;
        for (key, value) in file.get_ref() {
            if key.get_ref() == BASE {
                let found = match value.get_ref() {
                    DeValue::String(name) => named(name),
                    _ => Err("it must be the name of a theme".to_owned()),
                };
                base = Some(found.map_err(|message| wrong(value.span(), format!("{BASE}: {message}")))?);
                continue;
            }
            let role = Role::ALL.into_iter().find(|role| role.as_str() == key.get_ref());
            let role = role.ok_or_else(|| {
                let known = Role::ALL.map(Role::as_str).into_iter().chain([BASE]);
                wrong(key.span(), unknown("colour", known, key.get_ref()))
            })?;
            let ink = ink(value);
            inks[role as usize] =
                Some(ink.map_err(|(span, message)| wrong(span, format!("{}: {message}", role.as_str())))?);
        }
        let mut palette = base.unwrap_or(Self([Ink { rgb: None, ansi: Ansi::Default }; Role::ALL.len()]));
        for role in Role::ALL {
            match inks[role as usize] {
                Some(ink) => palette.0[role as usize] = ink,
                None if base.is_some() => {}
                None => {
                    let name = role.as_str();
                    return Err(wrong(0..0, format!("{name} is missing; set it, or name a {BASE} to take it from")));
                }
            }
        }
        Ok(palette)
    }

    pub(super) fn ink(&self, role: Role) -> Ink {
        self.0[role as usize]
    }
}

/// A colour: `{ rgb = "#rrggbb", ansi = "…" }`, or without the first.
fn ink(value: &Spanned<DeValue<'_>>) -> Result<Ink, (Range<usize>, String)> {
    let DeValue::Table(table) = value.get_ref() else {
        return Err((value.span(), "a colour is written { rgb = \"#rrggbb\", ansi = \"light-blue\" }".to_owned()));
    };
    let mut ink = Ink { rgb: None, ansi: Ansi::Default };
    let mut has_ansi = false;
    for (key, value) in table {
        let text = match value.get_ref() {
            DeValue::String(text) => text.as_ref(),
            _ => return Err((value.span(), format!("{} must be a text", key.get_ref()))),
        };
        match key.get_ref().as_ref() {
            "rgb" => {
                let rgb = rgb(text).ok_or_else(|| (value.span(), format!("\"{text}\" is not of the form #rrggbb")))?;
                ink.rgb = Some(rgb);
            }
            "ansi" => {
                let from: StrDeserializer<'_, Error> = text.into_deserializer();
                ink.ansi = Ansi::deserialize(from).map_err(|error| (value.span(), error.to_string()))?;
                has_ansi = true;
            }
            other => return Err((key.span(), unknown("part", ["rgb", "ansi"], other))),
        }
    }
    if has_ansi {
        Ok(ink)
    } else {
        Err((value.span(), "ansi is missing: the colour for terminals with sixteen, or \"default\"".to_owned()))
    }
}

fn rgb(text: &str) -> Option<(u8, u8, u8)> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
    let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
    Some((part(0)?, part(2)?, part(4)?))
}

fn unknown<'a>(what: &str, known: impl IntoIterator<Item = &'a str> + Clone, name: &str) -> String {
    match nearest(known.clone(), name) {
        Some(near) => format!("there is no {what} \"{name}\"; did you mean \"{near}\"?"),
        None => {
            format!("there is no {what} \"{name}\"; there are {}", known.into_iter().collect::<Vec<_>>().join(", "))
        }
    }
}

fn line(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const DARK: &str = include_str!("../../../themes/dark.toml");

    fn read(text: &str) -> Result<Palette, String> {
        let named = |name: &str| match name {
            "dark" => Palette::read(DARK, |_| Err(String::new())).map_err(|error| error.to_string()),
            _ => Err(format!("there is no theme \"{name}\"")),
        };
        Palette::read(text, named).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_left_out_is_the_bases() {
        let dark = read(DARK).expect("it reads");
        let own = read("base = \"dark\"\naccent = { rgb = \"#FF8000\", ansi = \"yellow\" }").expect("it reads");
        assert_eq!(own.ink(Role::Accent), Ink { rgb: Some((255, 128, 0)), ansi: Ansi::Yellow });
        for role in Role::ALL.into_iter().filter(|role| *role != Role::Accent) {
            assert_eq!(own.ink(role), dark.ink(role));
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_line_and_key() {
        for (text, message) in [
            ("", "1: background is missing; set it, or name a base to take it from"),
            ("base = \"drak\"", "1: base: there is no theme \"drak\""),
            ("base = \"dark\"\nacent = {}", "2: there is no colour \"acent\"; did you mean \"accent\"?"),
            (
                "base = \"dark\"\n\ntext = \"#ffffff\"",
                "3: text: a colour is written { rgb = \"#rrggbb\", ansi = \"light-blue\" }",
            ),
            (
                "base = \"dark\"\ntext = { rgb = \"#fffff\", ansi = \"white\" }",
                "2: text: \"#fffff\" is not of the form #rrggbb",
            ),
            (
                "base = \"dark\"\ntext = { rgb = \"#ffffff\" }",
                "2: text: ansi is missing: the colour for terminals with sixteen, or \"default\"",
            ),
            ("base = \"dark\"\ntext = { hue = \"1\" }", "2: text: there is no part \"hue\"; there are rgb, ansi"),
        ] {
            assert_eq!(read(text).expect_err(text), message);
        }
        let error = read("base = \"dark\"\ntext = { ansi = \"pink\" }").expect_err("no such colour");
        assert!(error.starts_with("2: text: unknown variant `pink`, expected one of `default`"), "{error}");
        assert!(read("a = ").expect_err("no value").starts_with("1: "));
    }
}
