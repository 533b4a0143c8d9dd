//! Schedule files from folders and paths to [`Source`]s, within limits, with every problem reported at once. The only part
//! of the schedule that touches files; does not know what is in them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;
use rustix::fs::OFlags;

use crate::background;
use crate::diagnostic::{Diagnostic, LineIndex, Place, Span, offset};
use crate::schedule::{AllJobs, FileReader, Files, Reading, Settings, Source, may_have_calendars, parse};

/// Largest file, in bytes. 100,000 jobs are about 20 MB; what is larger is not a schedule.
pub const FILE_BYTES_MAX: u64 = 64 << 20;
/// Largest sum of all files, in bytes: what a reload may hold in memory.
pub const TOTAL_BYTES_MAX: u64 = 256 << 20;
/// Most files. A folder with more is some other folder.
pub const FILES_MAX: usize = 10_000;

/// What could be read, and what could not.
#[derive(Clone, Debug, Default)]
pub struct LoadedFiles {
    /// The files that could be read, folders sorted by name.
    pub sources: Vec<Source>,
    /// Everything that is wrong with the others.
    pub problems: Vec<Diagnostic>,
}

/// Reads files and folders. Of a folder, every `*.yaml` and `*.yml` that is not hidden, not those of its folders; symbolic
/// links are followed. A file that is named twice is read once. No schedule file at all is a problem.
pub fn load(paths: &[PathBuf]) -> LoadedFiles {
    let mut loader = Loader { loaded: LoadedFiles::default(), seen: BTreeSet::new(), folders: Vec::new(), files: 0, total: 0 };
    for path in paths {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => loader.folder(path),
            Ok(_) => loader.file(path),
            Err(error) => loader.problem(path, &error),
        }
    }
    // Last, because another path may name what stands there.
    for folder in std::mem::take(&mut loader.folders) {
        loader.within(&folder);
    }
    loader.loaded
}

/// Loads paths and reads what was loaded. A file that cannot be loaded is an error like one in a file: without it there is no
/// schedule, because its jobs would be missing.
pub fn read(paths: &[PathBuf], settings: &Settings, zones: &TimeZoneDatabase, now: Timestamp) -> (Vec<Source>, Reading) {
    let LoadedFiles { sources, problems } = load(paths);
    let reading = read_sources(&sources, problems, settings, zones, now);
    (sources, reading)
}

/// Files that are read at one time, for each processor: what they have is added before the next are read.
const AT_ONE_TIME: usize = 2;

fn read_sources(
    sources: &[Source],
    problems: Vec<Diagnostic>,
    settings: &Settings,
    zones: &TimeZoneDatabase,
    now: Timestamp,
) -> Reading {
    let workers = background::processors().min(sources.len()).max(1);
    let early = sources.iter().enumerate().filter(|(_, source)| may_have_calendars(source)).collect();
    let parsed = side_by_side(&mut vec![(); workers], early, |(), (number, source)| (number, parse(source)));
    let files = Files::new(problems, (sources, parsed), settings, zones, now);
    let mut all = AllJobs::default();
    let mut readers: Vec<_> = (0..workers).map(|_| files.reader()).collect();
    let numbers: Vec<usize> = (0..sources.len()).collect();
    for together in numbers.chunks(workers * AT_ONE_TIME) {
        for file in side_by_side(&mut readers, together.to_vec(), FileReader::read) {
            all.add(file);
        }
    }
    drop(readers);
    files.finish(all)
}

/// Does something with each item side by side, and answers in their order: one thread for each worker. Threads have the priority of
/// whoever asks; where none is to be had, it is done with fewer.
fn side_by_side<W: Send, T: Send, R: Send>(workers: &mut [W], items: Vec<T>, work: impl Fn(&mut W, T) -> R + Sync) -> Vec<R> {
    let items = Mutex::new(items.into_iter().enumerate());
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = |worker: &mut W| {
        let mut done = Vec::new();
        while let Some((number, item)) = next() {
            done.push((number, work(worker, item)));
        }
        done
    };
    let Some((own, others)) = workers.split_first_mut() else { return Vec::new() };
    let mut done = thread::scope(|scope| {
        let start = |worker| thread::Builder::new().spawn_scoped(scope, || work(worker)).ok();
        let helpers: Vec<_> = others.iter_mut().filter_map(start).collect();
        let mut done = work(own);
        for helper in helpers {
            done.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, done)| done).collect()
}

struct Loader {
    loaded: LoadedFiles,
    seen: BTreeSet<PathBuf>,
    /// The folders that stand in those that were read.
    folders: Vec<PathBuf>,
    files: usize,
    total: u64,
}

impl Loader {
    fn folder(&mut self, folder: &Path) {
        let entries = match fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) => return self.problem(folder, &error),
        };
        let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
        paths.sort_unstable();
        for path in paths.iter().filter(|path| kind(path) == FileKind::NearMiss) {
            let ignored = Diagnostic::warning("ignored-file", "this file is not read: its name does not end in `.yaml` or `.yml`");
            let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
            let hint = match ending.as_str() {
                "txt" => "remove the `.txt` from its name",
                "yaml" | "yml" => "write the ending in lower case",
                _ => "if it is a schedule, give its name the ending `.yaml`",
            };
            self.loaded.problems.push(ignored.at(file_place(path)).hint(hint));
        }
        let is_folder = |path: &&PathBuf| kind(path) == FileKind::Other && !is_hidden(path) && path.is_dir();
        self.folders.extend(paths.iter().filter(is_folder).cloned());
        paths.retain(|path| kind(path) == FileKind::Schedule);
        if paths.is_empty() {
            let empty =
                Diagnostic::error("no-files", "no schedule file (`*.yaml` or `*.yml`) in this folder").at(file_place(folder));
            self.loaded.problems.push(empty.hint("hidden files and folders within it are not read"));
        }
        for path in paths {
            self.file(&path);
        }
    }

    /// Names the first schedule file of a folder within a folder: it is not read, unless a path or a link leads to it.
    fn within(&mut self, folder: &Path) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        let paths = entries.take(FILES_MAX).filter_map(Result::ok).map(|entry| entry.path());
        let is_read = |path: &Path| fs::canonicalize(path).is_ok_and(|real| self.seen.contains(&real));
        let unread = paths.filter(|path| kind(path) == FileKind::Schedule && path.is_file() && !is_read(path));
        let Some(first) = unread.min() else { return };
        let ignored =
            Diagnostic::warning("ignored-file", "this file is not read: it stands in a folder within the folder of schedules");
        let hint = "move it up, or link to it; a folder whose name begins with a dot is passed over";
        self.loaded.problems.push(ignored.at(file_place(&first)).hint(hint));
    }

    fn file(&mut self, path: &Path) {
        if fs::canonicalize(path).is_ok_and(|real| !self.seen.insert(real)) {
            return;
        }
        self.files += 1;
        if self.files > FILES_MAX {
            if self.files == FILES_MAX + 1 {
                let problem = Diagnostic::error(
                    "too-large",
                    format!("more than {FILES_MAX} schedule files; this one and what follows is not read"),
                );
                self.loaded.problems.push(problem.at(file_place(path)));
            }
            return;
        }
        match read_file(path, TOTAL_BYTES_MAX - self.total) {
            Ok(bytes) => {
                self.total += bytes.len() as u64;
                match text_of(path, bytes) {
                    Ok(source) => self.loaded.sources.push(source),
                    Err(problem) => self.loaded.problems.push(problem),
                }
            }
            Err(Unread::Io(error)) => self.problem(path, &error),
            Err(Unread::Refused(problem)) => self.loaded.problems.push(problem.at(file_place(path))),
        }
    }

    fn problem(&mut self, path: &Path, error: &io::Error) {
        let dangling = error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_ok();
        let problem = match error.kind() {
            _ if dangling => Diagnostic::error("unreadable", "this symbolic link points to nothing").hint("fix it or remove it"),
            io::ErrorKind::NotFound => Diagnostic::error("unreadable", "there is no such file or folder"),
            io::ErrorKind::PermissionDenied => Diagnostic::error("unreadable", "permission to read this was denied")
                .hint("the user that runs `ingestd` must be able to read it"),
            _ => Diagnostic::error("unreadable", format!("cannot be read: {error}")),
        };
        self.loaded.problems.push(problem.at(file_place(path)));
    }
}

/// Why a file's bytes are not here.
enum Unread {
    Io(io::Error),
    Refused(Diagnostic),
}

#[expect(clippy::result_large_err, reason = "once a file, and the caller keeps the problem by value")]
fn read_file(path: &Path, total_left: u64) -> Result<Vec<u8>, Unread> {
    // Checked before it is opened, because to open a device may have an effect. Checked again when it is open, because it may have
    // been replaced in between. The open does not wait for the writer of a pipe.
    regular(&fs::metadata(path).map_err(Unread::Io)?)?;
    let no_wait = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = File::options().read(true).custom_flags(no_wait).open(path).map_err(Unread::Io)?;
    let metadata = file.metadata().map_err(Unread::Io)?;
    regular(&metadata)?;
    let too_large = |limit: u64, what: &str| {
        let problem = Diagnostic::error("too-large", format!("{what} than {} MiB", limit >> 20));
        Unread::Refused(problem.hint("is it a schedule? 100,000 jobs are about 20 MB"))
    };
    if metadata.len() > FILE_BYTES_MAX {
        let size = metadata.len() >> 20;
        return Err(too_large(FILE_BYTES_MAX, &format!("the file has {size} MiB; a schedule file has not more")));
    }
    // The length can lie (a growing file, /proc), so the reading itself is bounded.
    let limit = FILE_BYTES_MAX.min(total_left);
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.take(limit + 1).read_to_end(&mut bytes).map_err(Unread::Io)?;
    match bytes.len() as u64 > limit {
        false => Ok(bytes),
        true if limit < FILE_BYTES_MAX => Err(too_large(TOTAL_BYTES_MAX, "all schedule files together have more")),
        true => Err(too_large(FILE_BYTES_MAX, "the file has more")),
    }
}

/// Nothing but a file is read.
#[expect(clippy::result_large_err, reason = "once a file, and the caller keeps the problem by value")]
fn regular(metadata: &fs::Metadata) -> Result<(), Unread> {
    let message = match metadata {
        _ if metadata.is_file() => return Ok(()),
        _ if metadata.is_dir() => "this is a folder with the name of a schedule file",
        _ => "this is a pipe, a socket or a device, not a file",
    };
    let problem = Diagnostic::error("not-a-file", message);
    Err(Unread::Refused(problem.hint("remove it, or give it a name that does not end in `.yaml` or `.yml`")))
}

/// The text of a file, or which byte is not UTF-8. A byte order mark is not text.
#[expect(clippy::result_large_err, reason = "once a file, and the caller keeps the problem by value")]
pub fn text_of(path: &Path, bytes: Vec<u8>) -> Result<Source, Diagnostic> {
    let name: Arc<str> = Arc::from(path.to_string_lossy());
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let problem = Diagnostic::error("not-utf8", "the file is UTF-16").at(Place::file(name));
        return Err(problem.hint("save it as UTF-8"));
    }
    match String::from_utf8(bytes) {
        Ok(mut text) => {
            if text.starts_with('\u{feff}') {
                text.drain(..'\u{feff}'.len_utf8());
            }
            Ok(Source { name, text })
        }
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let good = String::from_utf8_lossy(&error.as_bytes()[..at]);
            let good = good.strip_prefix('\u{feff}').unwrap_or(&good);
            let span = Span { start: offset(good.len()), end: offset(good.len() + 1) };
            let message = format!("byte {at} of the file, {:#04x}, is not UTF-8", error.as_bytes()[at]);
            let problem = Diagnostic::error("not-utf8", message).at(LineIndex::new(good).place(&name, span));
            Err(problem.hint("save it as UTF-8"))
        }
    }
}

#[derive(PartialEq, Eq)]
enum FileKind {
    Schedule,
    NearMiss,
    Other,
}

/// Whether a folder's file of that path is read as a schedule, by its name.
pub(crate) fn is_schedule(path: &Path) -> bool {
    kind(path) == FileKind::Schedule
}

/// Endings behind `.yaml` of what is not meant to be read: backups, files that are not complete, files that were put aside.
const SET_ASIDE: [&str; 18] = [
    "bak", "backup", "old", "orig", "rej", "save", "saved", "swp", "swo", "tmp", "temp", "new", "part", "filepart", "disabled",
    "off", "sample", "example",
];

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(['.', '#']))
}

/// What a name in a folder says. Backups of editors (`a.yaml~`, `a.yaml.bak`, `.a.yaml.swp`, `#a.yaml#`) have another ending
/// or are hidden.
fn kind(path: &Path) -> FileKind {
    if is_hidden(path) {
        return FileKind::Other;
    }
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    // As `k.yaml.txt`, which some editors make of `k.yaml` and some file managers show as that.
    let more = [".yaml.", ".yml."].iter().find_map(|ending| name.rsplit_once(ending)).map(|(_, more)| more);
    let is_aside =
        |more: &str| more.contains('~') || more.starts_with(|letter: char| !letter.is_alphabetic()) || SET_ASIDE.contains(&more);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("yaml" | "yml") => FileKind::Schedule,
        Some(extension) if extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml") => FileKind::NearMiss,
        _ if more.is_some_and(|more| !more.contains('.') && !is_aside(more)) => FileKind::NearMiss,
        _ => FileKind::Other,
    }
}

fn file_place(path: &Path) -> Place {
    Place::file(path.to_string_lossy().into_owned())
}
