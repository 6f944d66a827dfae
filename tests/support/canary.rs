//! Secret values that no file, no key, no output and no screen may hold, in whatever form; and the search for them.
//!
//! A test writes values made by [`canary`]; tokens and secret ids that servers give out are registered by the helpers that
//! ask for them. What is searched: everything below the program's folder, all it says, what it draws, and Consul.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]
#![allow(clippy::expect_used, reason = "a search that cannot be made has failed")]

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition};
use regex::bytes::{Regex, RegexBuilder};

/// In every value that a test gives a secret. Letters and digits, which nothing has to escape.
pub const MARK: &str = "c4n4ryZq7Lx";
/// In every secret value of the demo.
pub const DEMO_MARK: &str = "dEm0cNrY";

/// A value for a secret.
#[must_use]
pub fn canary(what: impl Display) -> String {
    format!("{MARK} {what}")
}

/// A pattern for all forms of the marks, and each with what it is called.
type Forms = (Regex, Vec<(Vec<u8>, String)>);

/// Every form of the marks that is searched for.
static FORMS: LazyLock<Forms> = LazyLock::new(|| {
    let forms: Vec<(Vec<u8>, String)> = [MARK, DEMO_MARK].into_iter().flat_map(forms).collect();
    let either: Vec<String> = forms.iter().map(|(form, _)| literal(form)).collect();
    let regex = RegexBuilder::new(&format!("(?-u){}", either.join("|"))).size_limit(64 << 20).build();
    (regex.expect("literals"), forms)
});

fn literal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\x{byte:02x}").expect("a String takes everything");
        text
    })
}

/// A text plainly, reversed, in hexadecimal digits, as JSON escapes, in both base64 alphabets at each of the three places
/// that it can have in a group, and in UTF-16.
fn forms(text: &str) -> Vec<(Vec<u8>, String)> {
    let of_each = |each: fn(u8) -> String| text.bytes().map(each).collect::<String>().into_bytes();
    let mut forms = vec![
        (text.as_bytes().to_vec(), "plainly".to_owned()),
        (text.bytes().rev().collect(), "reversed".to_owned()),
        (of_each(|byte| format!("{byte:02x}")), "in hexadecimal".to_owned()),
        (of_each(|byte| format!("{byte:02X}")), "in hexadecimal".to_owned()),
        (of_each(|byte| format!("\\u{byte:04x}")), "as JSON escapes".to_owned()),
        (of_each(|byte| format!("%{byte:02X}")), "as percent escapes".to_owned()),
        (text.encode_utf16().flat_map(u16::to_le_bytes).collect(), "in UTF-16".to_owned()),
    ];
    for before in 0..3 {
        let shifted = [vec![0; before], text.as_bytes().to_vec()].concat();
        for alphabet in [&STANDARD, &URL_SAFE] {
            // what depends on the bytes around is left out at both ends
            let encoded = alphabet.encode(&shifted).into_bytes();
            let (first, last) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
            forms.push((encoded[first..last].to_vec(), "in base64".to_owned()));
        }
    }
    forms
}

static TOKENS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A token or secret id that a server has given out: not to be found in outputs, logs and state.
pub fn register(token: &str) {
    if token.len() >= 16 {
        TOKENS.lock().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned());
    }
}

/// How a canary is in there, if one is. Compressed parts are looked into.
#[must_use]
pub fn find(bytes: &[u8]) -> Option<String> {
    let (regex, forms) = &*FORMS;
    if let Some(found) = regex.find(bytes) {
        let name = forms.iter().find(|(form, _)| form == found.as_bytes()).map_or("somehow", |(_, name)| name);
        let from = found.start().saturating_sub(60);
        let around = &bytes[from..bytes.len().min(found.end() + 60)];
        return Some(format!("{name}: …{}…", String::from_utf8_lossy(around).escape_debug()));
    }
    let inside = compressed(bytes)?;
    find(&inside).map(|how| format!("compressed, {how}"))
}

/// What a compressed stream that begins anywhere in there holds: the first that is one, and longer than chance makes it.
fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    for at in 0..bytes.len().saturating_sub(8) {
        let mut text = Vec::new();
        // a stream that ends in something else has been read as far as it goes
        match bytes[at..at + 2] {
            [0x78, 0x01 | 0x5e | 0x9c | 0xda] => {
                let _ = flate2::bufread::ZlibDecoder::new(&bytes[at..]).take(64 << 20).read_to_end(&mut text);
            }
            [0x1f, 0x8b] => {
                let _ = flate2::bufread::GzDecoder::new(&bytes[at..]).take(64 << 20).read_to_end(&mut text);
            }
            _ => {}
        }
        all.append(&mut text);
    }
    (!all.is_empty()).then_some(all)
}

/// Whose registered token is in there.
#[must_use]
pub fn find_token(bytes: &[u8]) -> Option<String> {
    let tokens = TOKENS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let text = String::from_utf8_lossy(bytes);
    tokens.into_iter().find(|token| text.contains(token.as_str()))
}

/// Ends the test if what the program said holds a canary or a token.
pub fn assert_clean(what: &str, bytes: &[u8]) {
    if let Some(how) = find(bytes) {
        panic!("a secret value is in {what}, {how}");
    }
    if let Some(token) = find_token(bytes) {
        panic!("a token is in {what}: {token}");
    }
}

/// Every file below a folder that holds a canary, or below its `state` a token, with how.
#[must_use]
pub fn leaks_below(folder: &Path) -> Vec<String> {
    let state = folder.join("state");
    files_below(folder)
        .into_iter()
        .filter_map(|file| {
            // what goes while it is looked for was a temporary file
            let bytes = fs::read(&file).ok()?;
            let written = file.starts_with(&state)
                || file
                    .extension()
                    .is_some_and(|kind| ["stdout", "stderr", "redb", "log"].iter().any(|own| kind == *own));
            let name = file.strip_prefix(folder).unwrap_or(&file).display().to_string();
            let how = find(file.to_string_lossy().as_bytes())
                .or_else(|| find(&bytes))
                .or_else(|| written.then(|| find_token(&bytes).map(|token| format!("a token: {token}")))?)
                .or_else(|| in_store(&file))?;
            Some(format!("{name}, {how}"))
        })
        .collect()
}

/// Every value of an embedded store by itself: in the file they lie in pages, which may be anywhere.
fn in_store(file: &Path) -> Option<String> {
    const ENTRIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entries");
    if file.extension().is_none_or(|kind| kind != "redb") {
        return None;
    }
    // a copy: the program may still have the file open, or have been killed while it wrote
    let copy = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::copy(file, copy.path()).ok()?;
    let store = redb::Database::open(copy.path()).ok()?;
    let table = store.begin_read().ok()?.open_table(ENTRIES).ok()?;
    table.iter().ok()?.filter_map(Result::ok).find_map(|(key, value)| {
        let how = find(key.value().as_bytes()).or_else(|| find(value.value()));
        let token = || find_token(value.value()).map(|token| format!("a token: {token}"));
        how.or_else(token).map(|how| format!("under {}, {how}", key.value()))
    })
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let is_folder = |path: &Path| path.is_dir() && !path.is_symlink();
    entries.flat_map(|path| if is_folder(&path) { files_below(&path) } else { vec![path] }).collect()
}
