//! Changes in local files, until a store has them: what a cycle did outlives its process, and a store that is away.
//!
//! One destination's journal is the files `<hash>-<number>.journal` in a folder, the higher the number the later. The
//! hash is made of the store and the sync path. A file begins with the line `vsync journal 1`; each change is one line,
//! `<CRC-32> ["<cycle>",{…}]`, with the members that the [change log](super::ChangeLog) has. A line that is not whole or
//! not as it was written is left out when the journal is read, and nobody ever writes behind one: each process, and each
//! one after a failed write, begins a new file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use flate2::Crc;
use sha2::{Digest as _, Sha256};

use super::{Change, State};

const TITLE: &str = "vsync journal ";
const FORMAT: &str = "1";
const EXTENSION: &str = ".journal";

/// The journal of one destination. Only one process may write it at a time; others may read it meanwhile.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    prefix: String,
    /// The file that is being written.
    file: Option<File>,
    /// No file with this number or a higher one was ever made.
    next: u64,
}

impl Journal {
    /// The journal of `state` in `folder`. Nothing is made before something is appended.
    #[must_use]
    pub fn new(folder: &Path, state: &State) -> Self {
        let place = format!("{}\n{}", state.location(), state.own_key(""));
        let hash = Sha256::digest(place.as_bytes());
        let hash = u64::from_be_bytes(std::array::from_fn(|at| hash[at]));
        Self { folder: folder.to_owned(), prefix: format!("{hash:016x}-"), file: None, next: 0 }
    }

    /// Keeps what a cycle did.
    ///
    /// # Errors
    /// [`io::Error`] when it could not be written (all of it).
    pub fn append(&mut self, cycle: &str, changes: &[Change]) -> io::Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        let mut file = if let Some(file) = self.file.take() {
            file
        } else {
            text.extend_from_slice(format!("{TITLE}{FORMAT}\n").as_bytes());
            self.create()?
        };
        let mut line = Vec::new();
        for change in changes {
            line.clear();
            serde_json::to_writer(&mut line, &(cycle, change))?;
            text.extend_from_slice(format!("{:08x} ", checksum(&line)).as_bytes());
            text.append(&mut line);
            text.push(b'\n');
        }
        file.write_all(&text)?;
        // not reached after an error: what follows must not stand behind half a line
        self.file = Some(file);
        Ok(())
    }

    /// Goes on in a new file. The older ones are what the [`Segment`] names: read them, save them, then remove it.
    ///
    /// # Errors
    /// [`io::Error`] when the folder cannot be read.
    pub fn rotate(&mut self) -> io::Result<Segment> {
        self.file = None;
        Ok(Segment { files: self.files()?.into_iter().map(|(_, file)| file).collect() })
    }

    /// Everything that is kept, each change with its cycle, oldest first.
    ///
    /// # Errors
    /// [`io::Error`] when files cannot be read, or a newer vsync wrote them.
    pub fn read(&self) -> io::Result<Vec<(String, Change)>> {
        let mut changes = Vec::new();
        for (_, file) in self.files()? {
            match File::open(&file) {
                Ok(opened) => read(&file, opened, &mut changes)?,
                // removed meanwhile: the store has it
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(changes)
    }

    fn create(&mut self) -> io::Result<File> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let newest = self.files()?.last().map_or(0, |(number, _)| number + 1);
        self.next = self.next.max(newest);
        let file = self.folder.join(format!("{}{}{EXTENSION}", self.prefix, self.next));
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(file)?;
        self.next += 1;
        Ok(file)
    }

    /// The files there are, oldest first.
    fn files(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(&self.prefix)?.strip_suffix(EXTENSION));
            if let Some(number) = number.and_then(|number| number.parse().ok()) {
                files.push((number, entry.path()));
            }
        }
        files.sort_unstable();
        Ok(files)
    }
}

/// Files of a journal that nobody writes any more.
#[derive(Debug)]
#[must_use = "the files stay until they are removed"]
pub struct Segment {
    files: Vec<PathBuf>,
}

impl Segment {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Removes the files, for a store has what they hold. Dropped instead, they are part of the next segment.
    ///
    /// # Errors
    /// [`io::Error`] when one cannot be removed; it is then read again some day, which does no harm.
    pub fn remove(self) -> io::Result<()> {
        for file in self.files {
            match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

fn read(name: &Path, file: File, changes: &mut Vec<(String, Change)>) -> io::Result<()> {
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line)?;
    let Some(title) = line.strip_suffix(b"\n") else { return Ok(()) };
    match title.strip_prefix(TITLE.as_bytes()) {
        Some(format) if format == FORMAT.as_bytes() => {}
        Some(format) => {
            let format = String::from_utf8_lossy(format);
            let message =
                format!("{} has format {format:?}, this vsync knows {FORMAT} only: use a newer one", name.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        None => return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} is no journal", name.display()))),
    }
    let mut damaged = 0_usize;
    loop {
        line.clear();
        lines.read_until(b'\n', &mut line)?;
        // without its end it is the last one, torn or just being written
        let Some(whole) = line.strip_suffix(b"\n") else { break };
        match parse(whole) {
            Some(change) => changes.push(change),
            None => damaged += 1,
        }
    }
    if damaged > 0 {
        tracing::warn!(file = %name.display(), lines = damaged, "damaged lines of a journal are left out");
    }
    Ok(())
}

fn parse(line: &[u8]) -> Option<(String, Change)> {
    let (digits, json) = line.split_at_checked(8)?;
    let json = json.strip_prefix(b" ")?;
    let sum = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    if sum != checksum(json) {
        return None;
    }
    serde_json::from_slice(json).ok()
}

fn checksum(json: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(json);
    crc.sum()
}

#[cfg(test)]
mod tests;
