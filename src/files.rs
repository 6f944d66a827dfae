//! Files that an operator names: plans, reports.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file as it is typed: `~` before a slash is the home folder.
#[must_use]
pub fn typed(text: &str) -> PathBuf {
    match (text.strip_prefix('~'), std::env::home_dir()) {
        (Some(""), Some(home)) => home,
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(text),
    }
}

/// Longer files are not read: a plan of a million lines is half as long.
const LONGEST: u64 = 1 << 30;

/// Reads a file whole.
///
/// # Errors
/// Why it could not be read; a device or a pipe, which may have no end or no beginning, is not.
pub fn read(file: &Path) -> io::Result<Vec<u8>> {
    let about = std::fs::metadata(file)?;
    if !about.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    if about.len() > LONGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 GiB"));
    }
    std::fs::read(file)
}

/// Writes a new file that only its owner can read, all at once or not at all; what is there is never replaced.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if something has that name; else why it could not be written.
pub fn write_new(file: &Path, bytes: &[u8]) -> io::Result<()> {
    if file.file_name().is_none() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it names no file"));
    }
    // what has such a name need not be a file that can be read
    if file.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = tempfile::Builder::new().prefix(".vsync-").tempfile_in(folder)?;
    beside.write_all(bytes)?;
    beside.as_file().sync_all()?;
    beside.persist_noclobber(file).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_written_whole_and_replaces_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("plan.json");
        write_new(&file, b"one").expect("it is new");
        assert_eq!(fs::metadata(&file).expect("the file").permissions().mode() & 0o777, 0o600);
        let again = write_new(&file, b"two").expect_err("it is there");
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&file).expect("the file"), b"one");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left beside it");
        let nowhere = write_new(&folder.path().join("missing/plan.json"), b"").expect_err("there is no such folder");
        assert_eq!(nowhere.kind(), io::ErrorKind::NotFound);
        std::os::unix::fs::symlink("/nowhere", folder.path().join("link")).expect("a link");
        let link = write_new(&folder.path().join("link"), b"").expect_err("a link is there");
        assert_eq!(link.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn what_has_no_end_is_not_read() {
        assert!(read(Path::new("/dev/zero")).expect_err("a device").to_string().contains("not a regular file"));
        let folder = tempfile::tempdir().expect("a folder");
        assert!(read(folder.path()).is_err());
        write_new(&folder.path().join("a"), b"text").expect("it is new");
        assert_eq!(read(&folder.path().join("a")).expect("it is there"), b"text");
    }

    #[test]
    fn a_tilde_is_home() {
        let home = std::env::home_dir().expect("a home");
        assert_eq!(typed("~/a/b"), home.join("a/b"));
        assert_eq!(typed("~"), home);
        assert_eq!(typed("~a/b"), PathBuf::from("~a/b"));
        assert_eq!(typed("a~"), PathBuf::from("a~"));
    }
}
