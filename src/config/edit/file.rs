//! Reading a file whole and replacing it whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::RulesError;

pub(super) fn read(path: &Path) -> Result<String, RulesError> {
    fs::read_to_string(path).map_err(failed(path, "it cannot be read"))
}

fn failed(path: &Path, operation: &'static str) -> impl Fn(io::Error) -> RulesError {
    move |source| RulesError::File { file: path.to_owned(), operation, source }
}

/// Puts a text in a file's place, all of it or nothing. The file keeps its mode and its owner; where a link leads to
/// it, the link stays.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), RulesError> {
    let target = fs::canonicalize(path).map_err(failed(path, "it cannot be found"))?;
    let folder = target.parent().unwrap_or_else(|| Path::new("."));
    let known = fs::metadata(&target).map_err(failed(path, "it cannot be read"))?;
    // nobody but its owner can read it until it has the mode of the file: it may hold tokens
    let mut beside = tempfile::Builder::new()
        .prefix(".vsync-")
        .suffix(".tmp")
        .tempfile_in(folder)
        .map_err(failed(path, "no file can be made beside it"))?;
    beside.write_all(text.as_bytes()).map_err(failed(path, "it cannot be written"))?;
    same_owner(beside.as_file(), &known).map_err(failed(path, "its owner cannot be kept"))?;
    beside.as_file().set_permissions(known.permissions()).map_err(failed(path, "its mode cannot be kept"))?;
    beside.as_file().sync_all().map_err(failed(path, "it cannot be written"))?;
    beside.persist(&target).map_err(|error| failed(path, "it cannot be replaced")(error.error))?;
    // the name is safe once the folder is; some file systems know no such thing
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

#[cfg(unix)]
fn same_owner(file: &File, known: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let now = file.metadata()?;
    if (now.uid(), now.gid()) == (known.uid(), known.gid()) {
        return Ok(());
    }
    fchown(file, Some(known.uid()), Some(known.gid()))
}

#[cfg(not(unix))]
fn same_owner(_: &File, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}
