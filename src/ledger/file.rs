//! The ledger's file and those that SQLite keeps beside it: that they are plain files, whose they are, with which mode, and whether the
//! file that is open is still the one with the name. Does not know what is in them.

use std::fs::{self, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{LedgerError, sources};
use crate::engine::Level;

/// Only the daemon's user reads and writes: the rows hold stream URLs.
const MODE: u32 = 0o600;

/// What was found, or put right, when the ledger was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How bad it is.
    pub level: Level,
    /// In words.
    pub text: String,
}

impl Note {
    fn warning(text: String) -> Note {
        Note { level: Level::Warning, text }
    }
}

/// Makes ready what SQLite is to open: makes the file if there is none, and sets modes right.
///
/// Errors: a file is not a plain one, or this user cannot write it. SQLite has made no file by then.
pub(super) fn make_ready(folder: &Path, path: &Path) -> Result<Vec<Note>, LedgerError> {
    for file in files(path) {
        require_plain(&file)?;
    }
    let mut notes = Vec::new();
    if !path.exists() {
        notes.extend(was_there_before(folder, path));
        create_private(path)?;
    }
    let there = || files(path).into_iter().filter(|file| file.exists());
    notes.extend(there().filter_map(|file| set_mode(&file)));
    for file in there() {
        require_access(&file, "file")?;
    }
    require_access(folder, "folder")?;
    Ok(notes)
}

/// The ledger's file, and the two beside it.
fn files(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|end| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    })
}

/// Refuses what would hang, or destroy something, when it is opened. A link to a plain file is one.
///
/// Errors: what has the name is not a plain file.
pub(super) fn require_plain(path: &Path) -> Result<(), LedgerError> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    let is_link = found.file_type().is_symlink();
    let kind = match if is_link { fs::metadata(path) } else { Ok(found) } {
        Ok(found) => match kind(&found) {
            None => return Ok(()),
            Some(kind) if is_link => format!("a link to {kind}"),
            Some(kind) => kind.to_owned(),
        },
        Err(_) => "a link to nothing that can be read".to_owned(),
    };
    let text =
        format!("expected a plain file at `{}`, found {kind}: move it away, or name another folder as `state`", path.display());
    Err(LedgerError::ours(text))
}

/// What it is, if it is not a plain file.
fn kind(found: &Metadata) -> Option<&'static str> {
    let kind = found.file_type();
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a folder")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

/// Tells of a new ledger in a folder in which a daemon ran before.
fn was_there_before(folder: &Path, path: &Path) -> Option<Note> {
    let [_, log, _] = files(path);
    (sources::any(folder) || log.exists()).then(|| {
        let text = format!(
            "a new ledger is begun, and a daemon ran on `{}` before: its ledger is gone. What it left on air is not known here, and is \
             neither stopped nor kept on air; its shows may be started a second time. Stop the daemon and put the old file back if there \
             is a copy",
            folder.display()
        );
        Note { level: Level::Error, text }
    })
}

/// Makes the file before SQLite opens it, so that others can never read it, not even for a moment.
pub(super) fn create_private(path: &Path) -> Result<(), LedgerError> {
    match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(LedgerError::file(path, "make the ledger", error)),
    }
}

/// Sets the mode of a file that is ours, and tells of it. Of a file that is not ours it tells when others may read it.
fn set_mode(path: &Path) -> Option<Note> {
    let found = fs::metadata(path).ok()?;
    let mode = found.mode() & 0o7777;
    if mode == MODE {
        return None;
    }
    let name = path.display();
    if !is_own(&found) {
        return (mode & 0o077 != 0).then(|| Note::warning(wrong_mode(path, mode)));
    }
    Some(Note::warning(match fs::set_permissions(path, fs::Permissions::from_mode(MODE)) {
        Ok(()) => format!("`{name}` had the mode {mode:04o}: it is {MODE:04o} now, since it holds stream URLs"),
        Err(error) => format!("{}; it cannot be set: {error}", wrong_mode(path, mode)),
    }))
}

fn wrong_mode(path: &Path, mode: u32) -> String {
    let name = path.display();
    format!("`{name}` holds stream URLs and has the mode {mode:04o}: expected {MODE:04o}; `chmod {MODE:o} {name}` sets it")
}

/// What is wrong with the modes now.
pub(super) fn wrong_modes(path: &Path) -> Vec<String> {
    let mode = |file: &PathBuf| fs::metadata(file).ok().map(|found| found.mode() & 0o7777);
    let wrong = |file: PathBuf| mode(&file).filter(|mode| *mode != MODE).map(|mode| wrong_mode(&file, mode));
    files(path).into_iter().filter_map(wrong).collect()
}

/// Errors: this user cannot read and write there.
fn require_access(path: &Path, what: &str) -> Result<(), LedgerError> {
    access(path).map_err(|error| {
        let name = path.display();
        let owner = fs::metadata(path).map_or_else(
            |_| String::new(),
            |found| format!(", which belongs to the user {} and has the mode {:04o}", found.uid(), found.mode() & 0o7777),
        );
        LedgerError::ours(format!("cannot write the {what} `{name}`{owner}: {error}; `chown` gives it to the daemon's user"))
    })
}

/// Asks without opening: a file that is closed again takes with it the locks that another part of the process has on it.
#[cfg(target_os = "linux")]
fn access(path: &Path) -> io::Result<()> {
    use rustix::fs::{Access, AtFlags, CWD};
    Ok(rustix::fs::accessat(CWD, path, Access::READ_OK | Access::WRITE_OK, AtFlags::EACCESS)?)
}

#[cfg(not(target_os = "linux"))]
fn access(path: &Path) -> io::Result<()> {
    fs::metadata(path).map(drop)
}

/// Whether it belongs to this user.
#[cfg(target_os = "linux")]
fn is_own(found: &Metadata) -> bool {
    found.uid() == rustix::process::geteuid().as_raw()
}

/// The kernel refuses to change what belongs to others.
#[cfg(not(target_os = "linux"))]
fn is_own(_found: &Metadata) -> bool {
    true
}

/// Which file it is, whatever its name.
type FileId = (u64, u64);

fn id(path: &Path) -> io::Result<FileId> {
    fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Which files are open: the ledger's, and those beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenFiles {
    ledger: FileId,
    beside: [Option<FileId>; 2],
}

impl OpenFiles {
    /// Those that have the names now.
    pub(super) fn of(path: &Path) -> io::Result<OpenFiles> {
        let [_, log, index] = files(path);
        Ok(OpenFiles { ledger: id(path)?, beside: [id(&log).ok(), id(&index).ok()] })
    }

    /// Errors: another file has the name of the ledger, or none.
    pub(super) fn check(&self, path: &Path) -> Result<(), LedgerError> {
        let advice = "put the file back, or restart ingestd, which takes what is there then; what is on air is not in a new ledger";
        check(path, self.ledger, advice)
    }

    /// Errors: another file has the name of one beside the ledger, or none. What is written goes on into the old one, and reaches the
    /// ledger when it is closed in good order.
    pub(super) fn check_beside(&self, path: &Path) -> Result<(), LedgerError> {
        let [_, log, index] = files(path);
        for (path, was) in [log, index].iter().zip(self.beside) {
            was.map_or(Ok(()), |was| check(path, was, "restart ingestd, and what it has written is kept"))?;
        }
        Ok(())
    }
}

fn check(path: &Path, was: FileId, advice: &str) -> Result<(), LedgerError> {
    let name = path.display();
    Err(LedgerError::replaced(match id(path) {
        Ok(found) if found == was => return Ok(()),
        Ok(_) => format!("`{name}` was replaced by another file: {advice}"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => format!("`{name}` was deleted: {advice}"),
        Err(error) => format!("cannot see `{name}`: {error}"),
    }))
}
