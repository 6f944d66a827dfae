//! Configuration errors: every one names the place and, where there is one, the way out.

use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use regex::bytes::Regex;

use super::document::Place;

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone)]
pub struct Problem {
    message: String,
    place: Option<Place>,
    help: Option<String>,
    /// Bytes of the source that must not be shown.
    masked: Vec<Range<usize>>,
}

impl Problem {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None, help: None, masked: Vec::new() }
    }

    pub(super) fn at(mut self, place: &Place) -> Self {
        self.place = Some(place.clone());
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Never shows what stands at this place: it may be a secret.
    pub(super) fn mask(mut self, place: &Place) -> Self {
        if let Place::File { span, .. } = place {
            self.masked.push(span.clone());
        }
        self
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// What to do about it.
    #[must_use]
    pub fn next_step(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The problem with its marked source line, as several lines of text.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let help = self.help.as_deref().map(|help| Group::with_title(Level::HELP.secondary_title(help)));
        if let Some(Place::File { source, span }) = &self.place {
            let text = hide_secrets(source.text(), &self.masked);
            let annotation = AnnotationKind::Primary.span(first_line(source.text(), span));
            let snippet = Snippet::source(text).path(source.path().display().to_string()).annotation(annotation);
            let title = Level::ERROR.primary_title(self.message.as_str()).element(snippet);
            return renderer.render(&[Some(title), help].into_iter().flatten().collect::<Vec<_>>());
        }
        let place = self.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        let title = Group::with_title(Level::ERROR.primary_title(format!("{place}{}", self.message)));
        // apart, because together they would be joined as if there were a source between them
        [Some(title), help].into_iter().flatten().map(|part| renderer.render(&[part])).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, "; {help}")?;
        }
        Ok(())
    }
}

/// A configuration that cannot be used, with everything that is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError {
    /// What is wrong; at least one.
    pub problems: Vec<Problem>,
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl ConfigError {
    /// Whether flags alone are to blame: the command was used wrongly, the configuration is fine.
    #[must_use]
    pub fn is_wrong_usage(&self) -> bool {
        self.problems.iter().all(|problem| matches!(problem.place, Some(Place::Flag(_))))
    }
}

/// The span, but not beyond the end of its first line: a whole section would bury the message.
fn first_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = span.start.min(text.len());
    let end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
    start..span.end.clamp(start, end)
}

/// The text with stars for whatever may be a secret: the masked bytes, what follows a key that sounds like one, and the
/// user and password of an address.
/// Byte offsets stay as they are.
pub(super) fn hide_secrets(text: &str, masked: &[Range<usize>]) -> String {
    #[expect(clippy::unwrap_used, reason = "a constant expression, compiled by every test that renders a problem")]
    static SECRET_KEY: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"(?i)([\w-]*(?:tok|secret|passw|jwt)[\w-]*)["']?\s*[:=]\s*([^\n]*)"#).unwrap());
    #[expect(clippy::unwrap_used, reason = "a constant expression, compiled by every test that renders a problem")]
    static USER_INFO: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"(?i)(?:://|\baddress["']?\s*[:=]\s*["']?)((?:\\.|[^\n"\\])*)@"#).unwrap());
    let mut bytes = text.as_bytes().to_vec();
    let mut hide = |range: Range<usize>| {
        for byte in bytes.get_mut(range).unwrap_or_default() {
            if !byte.is_ascii_whitespace() {
                *byte = b'*';
            }
        }
    };
    masked.iter().cloned().for_each(&mut hide);
    for captures in SECRET_KEY.captures_iter(text.as_bytes()) {
        let (Some(key), Some(value)) = (captures.get(1), captures.get(2)) else { continue };
        let names_a_place =
            [&b"file"[..], b"env", b"helper"].iter().any(|end| key.as_bytes().to_ascii_lowercase().ends_with(end));
        if !names_a_place {
            hide(value.range());
        }
    }
    for captures in USER_INFO.captures_iter(text.as_bytes()) {
        if let Some(user_info) = captures.get(1) {
            hide(user_info.range());
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::document::SourceFile;
    use super::*;

    #[test]
    fn the_line_is_marked_and_secrets_in_it_are_not_shown() {
        let text = "[origin.vault]\nadress = 1\ntoken = \"s.canary\"\n";
        let source = Arc::new(SourceFile::new("vsync.toml".into(), text.to_owned()));
        let place = |part: &str| {
            let start = text.find(part).expect("part of the text");
            Place::File { source: Arc::clone(&source), span: start..start + part.len() }
        };
        let shown = Problem::new("unknown key \"adress\"").at(&place("adress")).help("did you mean it?").render(false);
        assert!(
            shown.contains("vsync.toml:2:1") && shown.contains("^^^^^^") && shown.contains("did you mean it?"),
            "{shown}"
        );
        let shown = Problem::new("wrong").at(&place("token")).render(false);
        assert!(shown.contains("token = **********") && !shown.contains("canary"), "{shown}");
        let shown = Problem::new("wrong").at(&place("adress")).mask(&place("1")).render(false);
        assert!(shown.contains("adress = *"), "{shown}");
    }

    #[test]
    fn the_user_and_password_of_an_address_are_hidden() {
        for text in [
            r#"vault = { address = "http://u:canary@x:8200", tkn = 1 }"#,
            r#"{"address": "https://canary:p@w@x", "x": 1}"#,
            r#"{"address": "http://u:\"canary@x"}"#,
            "address: u:canary@x",
            "address = 'u:canary@x'",
        ] {
            let hidden = hide_secrets(text, &[]);
            assert!(!hidden.contains("canary") && hidden.contains("@x") && hidden.len() == text.len(), "{hidden}");
        }
        let plain = "address = \"http://x:8200\"\nname = \"me@home\"";
        assert_eq!(hide_secrets(plain, &[]), plain);
    }

    #[test]
    fn an_inline_secret_is_hidden_and_a_file_name_is_not() {
        let hidden = hide_secrets(r#"{"token": "s.canary", "token_file": "/x"}"#, &[]);
        assert!(!hidden.contains("canary"), "{hidden}");
        assert!(hide_secrets("token_file = \"/run/x\"\nsecret_id_env: NAME", &[]).contains("/run/x"));
        assert!(hide_secrets("token_helper = \"/bin/x\"", &[]).contains("/bin/x"));
        let hidden = hide_secrets("password = \"canary\"\njwt = \"canary\"\nuserpass = { password = \"canary\" }", &[]);
        assert!(!hidden.contains("canary"), "{hidden}");
    }
}
