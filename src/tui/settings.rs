//! The operator's settings: `console.toml`, `keymap.toml` and `themes/*.toml` in vsync's configuration folder. They are
//! read anew whenever one of them changes; while none does, nothing wakes.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use etcetera::BaseStrategy;
use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{EventKind, RecursiveMode, Watcher};
use tokio::sync::mpsc::{self, UnboundedSender};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keymap;
use super::message::Message;
use super::theme::{Palette, Themes};
use crate::files;
use crate::text::nearest;

/// The file with the settings themselves.
pub(super) const FILE: &str = "console.toml";

/// The folder with themes beside it.
const THEMES: &str = "themes";

/// Editors write a file in several steps; so long after the first it is whole.
const WHOLE: Duration = Duration::from_millis(100);

/// A file's text, or why it cannot be read; `None`: there is no such file.
type Text = Option<Result<String, String>>;

/// What the files hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) settings: Text,
    pub(super) keymap: Text,
    /// By name.
    pub(super) themes: BTreeMap<String, Result<String, String>>,
}

/// Where the files are looked for; `None`: this user has no home.
pub(super) fn folder() -> Option<PathBuf> {
    etcetera::base_strategy::Xdg::new().ok().map(|folders| folders.config_dir().join("vsync"))
}

impl Files {
    /// Reads what is there.
    pub(super) fn read(folder: &Path) -> Self {
        let themes = std::fs::read_dir(folder.join(THEMES)).into_iter().flatten().flatten();
        let themes = themes.filter_map(|entry| {
            let path = entry.path();
            let name = theme_name(&path)?;
            Some((name, read(&path)?))
        });
        Self { settings: read(&folder.join(FILE)), keymap: read(&folder.join(keymap::FILE)), themes: themes.collect() }
    }
}

fn read(path: &Path) -> Text {
    let text = files::read(path).and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other));
    match text {
        Ok(text) => Some(Ok(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => Some(Err(error.to_string())),
    }
}

/// The name of the theme in a file, if it is one: editors leave other things beside them.
fn theme_name(path: &Path) -> Option<String> {
    let name = path.file_stem()?.to_str().filter(|name| !name.starts_with('.'))?;
    (path.extension()? == "toml").then(|| name.to_owned())
}

/// What `console.toml` says; `None` where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// The theme's name, and the line it stands in.
    pub(super) theme: Option<(String, usize)>,
    pub(super) mouse: Option<bool>,
    pub(super) ascii: Option<bool>,
}

impl Settings {
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let at =
            |span: Range<usize>| text.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count() + 1;
        let wrong = |span: Range<usize>, message: &str| format!("{FILE}:{}: {message}", at(span));
        let file = DeTable::parse(text)
            .map_err(|error| wrong(error.span().unwrap_or_default(), &error.message().replace('\n', ", ")))?;
        let truth = |name: &str, value: &Spanned<DeValue<'_>>| match value.get_ref() {
            DeValue::Boolean(truth) => Ok(Some(*truth)),
            _ => Err(wrong(value.span(), &format!("{name} must be true or false"))),
        };
        let mut settings = Self::default();
        for (key, value) in file.get_ref() {
            match key.get_ref().as_ref() {
                "theme" => match value.get_ref() {
                    DeValue::String(name) => settings.theme = Some((name.clone().into_owned(), at(value.span()))),
                    _ => return Err(wrong(value.span(), "theme must be the name of a theme")),
                },
                "mouse" => settings.mouse = truth("mouse", value)?,
                "ascii" => settings.ascii = truth("ascii", value)?,
                other => {
                    let known = ["theme", "mouse", "ascii"];
                    let instead = nearest(known, other).map_or_else(
                        || format!("there are {}", known.join(", ")),
                        |near| format!("did you mean \"{near}\"?"),
                    );
                    return Err(wrong(key.span(), &format!("there is no setting \"{other}\"; {instead}")));
                }
            }
        }
        Ok(settings)
    }
}

/// What the console remembers of the settings.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// The themes that are compiled in.
    pub(super) shipped: Themes,
    /// The operator's own.
    pub(super) own: BTreeMap<String, Palette>,
    /// What `console.toml` said when it was right for the last time.
    pub(super) last: Settings,
    /// Asked for on the command line, over the file.
    pub(super) theme_is_forced: bool,
    pub(super) mouse_is_forced: bool,
    /// What holds when the file says nothing.
    pub(super) needs_ascii: bool,
}

/// Sends the files whenever they have changed since `known`, until nobody listens any more.
pub(super) fn watch(folder: PathBuf, mut known: Files, messages: UnboundedSender<Message>) {
    let (tell, mut changes) = mpsc::unbounded_channel();
    let concerned = folder.clone();
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| matters(&concerned, &event)) {
            let _ = tell.send(());
        }
    });
    let mut watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "settings are not read again when they change");
            return;
        }
    };
    tokio::spawn(async move {
        loop {
            // The folder, and those above it, may come into being only later; and it may be another one of the same name
            // by now.
            if let Some(above) = folder.ancestors().skip(1).find(|above| above.is_dir()) {
                let _ = watcher.watch(above, RecursiveMode::NonRecursive);
            }
            let _ = watcher.watch(&folder, RecursiveMode::Recursive);
            // read also before the first change: there may have been one since `known`
            let place = folder.clone();
            let Ok(files) = tokio::task::spawn_blocking(move || Files::read(&place)).await else { break };
            if files != known {
                known.clone_from(&files);
                if messages.send(Message::Settings(Box::new(files))).is_err() {
                    break;
                }
            }
            if changes.recv().await.is_none() {
                break;
            }
            tokio::time::sleep(WHOLE).await;
            while changes.try_recv().is_ok() {}
        }
    });
}

/// Whether an event tells of a change to one of the files. Opening and reading them does not: that is what we do.
fn matters(folder: &Path, event: &notify::Event) -> bool {
    let change = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Create(_) | EventKind::Remove(_) => true,
        EventKind::Modify(kind) => !matches!(kind, ModifyKind::Metadata(_)),
        _ => false,
    };
    let ours = |path: &PathBuf| match path.strip_prefix(folder) {
        Ok(rest) => {
            let themes = Path::new(THEMES);
            rest.as_os_str().is_empty()
                || rest == Path::new(FILE)
                || rest == Path::new(keymap::FILE)
                || rest == themes
                || (rest.parent() == Some(themes) && theme_name(rest).is_some())
        }
        // a folder above it that has just been made
        Err(_) => folder.starts_with(path),
    };
    change && event.paths.iter().any(ours)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn settings_are_read() {
        let settings = Settings::parse("# mine\ntheme = \"ember\"\nmouse = false\nascii = true\n").expect("it reads");
        assert_eq!(settings, Settings { theme: Some(("ember".to_owned(), 2)), mouse: Some(false), ascii: Some(true) });
        assert_eq!(Settings::parse(""), Ok(Settings::default()));
    }

    #[test]
    fn what_is_wrong_is_said_with_file_and_line() {
        for (text, message) in [
            ("\nthme = \"dark\"", "console.toml:2: there is no setting \"thme\"; did you mean \"theme\"?"),
            ("colours = 1", "console.toml:1: there is no setting \"colours\"; there are theme, mouse, ascii"),
            ("mouse = \"no\"", "console.toml:1: mouse must be true or false"),
            ("ascii = true\ntheme = 3", "console.toml:2: theme must be the name of a theme"),
        ] {
            assert_eq!(Settings::parse(text), Err(message.to_owned()));
        }
        assert!(Settings::parse("mouse").expect_err("no value").starts_with("console.toml:1: "));
    }

    #[tokio::test]
    async fn a_change_is_told_once_and_nothing_else_is() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().join("vsync");
        let (messages, mut arriving) = mpsc::unbounded_channel();
        watch(folder.clone(), Files::read(&folder), messages);
        let mut next = async || {
            let message = tokio::time::timeout(Duration::from_secs(20), arriving.recv()).await;
            match message {
                Ok(Some(Message::Settings(files))) => *files,
                other => panic!("no settings but {other:?}"),
            }
        };
        // The watch begins in its own time.
        tokio::time::sleep(Duration::from_millis(300)).await;
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join(FILE), "mouse = false").expect("a file");
        assert_eq!(next().await.settings, Some(Ok("mouse = false".to_owned())));

        fs::write(folder.join("vsync.toml"), "not ours").expect("a file");
        fs::create_dir(folder.join(THEMES)).expect("a folder");
        tokio::time::sleep(Duration::from_millis(300)).await;
        fs::write(folder.join(THEMES).join("mine.toml~"), "not ours either").expect("a file");
        fs::write(folder.join(THEMES).join("mine.toml"), "base = \"dark\"").expect("a file");
        let files = next().await;
        assert_eq!(files.themes, BTreeMap::from([("mine".to_owned(), Ok("base = \"dark\"".to_owned()))]));

        // As editors do it: written beside, then moved over.
        fs::write(folder.join(".console.toml.new"), "ascii = true").expect("a file");
        fs::rename(folder.join(".console.toml.new"), folder.join(FILE)).expect("it moves");
        assert_eq!(next().await.settings, Some(Ok("ascii = true".to_owned())));

        fs::remove_file(folder.join(FILE)).expect("it goes");
        assert_eq!(next().await.settings, None);
    }
}
