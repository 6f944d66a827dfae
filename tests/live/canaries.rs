//! The search for secret values finds one wherever it may be: what every other test relies on.

use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde_json::json;

use crate::support::canary::{MARK, assert_clean, find, leaks_below, register};
use crate::support::{BaoServer, ConsulServer, Vsync, canary};
use crate::terminal::Console;

fn zlib(text: &str) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = ZlibEncoder::new(b"1\n".to_vec(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("no error");
    encoder.finish().expect("no error")
}

/// What ends a test, with its message.
fn complaint(what: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(what)).expect_err("nothing was found");
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn every_form_of_a_value_is_found() {
    let value = canary(1);
    for before in ["", "a", "ab", "abc"] {
        let text = format!("{before}{value} and more");
        let hex = |upper: bool| -> String {
            text.bytes().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") }).collect()
        };
        let escaped = text.encode_utf16().fold(String::new(), |mut escaped, unit| {
            let _ = write!(escaped, "\\u{unit:04x}");
            escaped
        });
        for (bytes, how) in [
            (text.clone().into_bytes(), "plainly"),
            (STANDARD.encode(&text).into_bytes(), "in base64"),
            (hex(false).into_bytes(), "in hexadecimal"),
            (hex(true).into_bytes(), "in hexadecimal"),
            (escaped.into_bytes(), "as JSON escapes"),
            (serde_json::to_vec(&json!({ "x\n": text })).expect("no error"), "plainly"),
            (zlib(&text), "compressed, plainly"),
            (zlib(&STANDARD.encode(&text)), "compressed, in base64"),
        ] {
            let found = find(&[b"noise \xff\x00 ", bytes.as_slice(), b" noise"].concat());
            // what cannot be made shorter is stored as it is
            let plain = how.trim_start_matches("compressed, ");
            assert!(found.as_ref().is_some_and(|found| found.contains(plain)), "{how}: {found:?}");
        }
    }
    assert_eq!(find(b"nothing of the kind \x78\x9c\x01\x02\x03 here"), None);
}

#[test]
fn a_value_in_any_file_ends_the_test() {
    for name in ["state/vsync/logs/vsync.log", "report.json", "plan.json", "daemon.stderr", "core"] {
        let vsync = Vsync::new("");
        let file = vsync.folder().join(name);
        fs::create_dir_all(file.parent().expect("no error")).expect("no error");
        fs::write(&file, format!("{{\"leaked\":\"{}\"}}", canary("x"))).expect("no error");
        let message = complaint(move || drop(vsync));
        assert!(message.contains(name) && message.contains("plainly"), "{message}");
    }
}

#[test]
fn a_value_in_the_embedded_store_ends_the_test() {
    const ENTRIES: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("entries");
    for value in [canary(1).into_bytes(), zlib(&canary(1)), STANDARD.encode(canary(1)).into_bytes()] {
        let vsync = Vsync::new("");
        let store = redb::Database::create(vsync.folder().join("state.redb")).expect("no error");
        let write = store.begin_write().expect("no error");
        write.open_table(ENTRIES).expect("no error").insert("vsync/a", value.as_slice()).expect("no error");
        write.commit().expect("no error");
        drop(store);
        let message = complaint(move || drop(vsync));
        assert!(message.contains("state.redb, "), "{message}");
    }
}

#[test]
fn a_token_in_state_or_output_ends_the_test() {
    let token = "s.this-is-a-token-of-the-search";
    register(token);
    let vsync = Vsync::new(&format!("# {token}"));
    assert_eq!(leaks_below(vsync.folder()), [""; 0], "the configuration has to hold it");
    fs::create_dir_all(vsync.folder().join("state")).expect("no error");
    fs::write(vsync.folder().join("state/journal"), token).expect("no error");
    assert_eq!(leaks_below(vsync.folder()).len(), 1);
    fs::remove_file(vsync.folder().join("state/journal")).expect("no error");
    let message = complaint(|| assert_clean("stderr", format!("vsync: {token} is no token").as_bytes()));
    assert!(message.contains("a token is in stderr"), "{message}");
}

#[test]
fn a_value_in_consul_ends_the_test() {
    let consul = ConsulServer::start();
    consul.put("vsync/origin/0", &zlib(&canary(1)));
    assert_eq!(consul.leaks().len(), 1);
    let message = complaint(move || drop(consul));
    assert!(message.contains("Consul's vsync/origin/0, compressed, plainly"), "{message}");
}

/// The program's own screen, made to show a value: by a name that holds one.
#[test]
fn a_value_on_the_screen_ends_the_test() {
    let server = BaoServer::start();
    server.client().write("secret", MARK, &json!({ "v": 1 }));
    let vsync = Vsync::new("");
    vsync.configure(&format!(
        "origin.mounts = [\"secret\"]\norigin.vault = {{ address = \"{0}\", token = \"least\" }}\n\
         [[destinations]]\nname = \"copy\"\nvault = {{ address = \"http://127.0.0.1:1\", token = \"least\" }}\n",
        server.address(),
    ));
    let config = vsync.folder().join("vsync.toml").display().to_string();
    let message = complaint(move || {
        let mut console = Console::start(&["--read-only", "--config", &config], (80, 24), &[]);
        console.keys("2");
        console.wait_for("the name", |screen| screen.contents().contains(MARK));
    });
    assert!(message.contains("a secret value was drawn, plainly"), "{message}");
}

/// What the console's own tests keep of its screens, and the pictures in the documentation.
#[test]
fn no_screen_that_is_kept_shows_a_value() {
    for (folder, least) in [("src/tui/tests/snapshots", 100), ("docs/pictures", 8)] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        assert!(fs::read_dir(&folder).expect("no error").count() >= least, "{}", folder.display());
        assert_eq!(leaks_below(&folder), [""; 0]);
        for file in fs::read_dir(&folder).expect("no error").map(|entry| entry.expect("no error").path()) {
            // what a value is in the console's own tests
            assert!(!fs::read_to_string(&file).expect("no error").contains("not-a-real-value"), "{}", file.display());
        }
    }
}
