//! What opens as a ledger by its file: a plain one of the daemon's own, with a mode that keeps others out.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use ingestd::engine::Level;
use ingestd::ledger::{FILE, Ledger, Lock, Place, Reader, sources};
use rustix::fs::{CWD, Mode};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

fn pipe(path: &Path) {
    rustix::fs::mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).expect("a pipe");
}

#[test]
fn what_is_no_plain_file_is_refused_in_words_and_never_opened() {
    type Make = fn(&Path);
    let kinds: [(&str, Make); 6] = [
        ("a folder", |path| fs::create_dir(path).expect("writable")),
        ("a pipe", pipe),
        ("a socket", |path| drop(std::os::unix::net::UnixListener::bind(path).expect("a socket"))),
        ("a link to a device", |path| symlink("/dev/null", path).expect("a link")),
        ("a link to a pipe", |path| {
            let other = path.with_extension("other");
            pipe(&other);
            symlink(other, path).expect("a link");
        }),
        ("a link to nothing that can be read", |path| symlink("/nowhere/at/all", path).expect("a link")),
    ];
    for (kind, make) in kinds {
        for name in [FILE, "ingestd.db-wal", "ingestd.db-shm", "ingestd.lock"] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join(name);
            make(&path);
            // Each of them would wait for ever for a pipe.
            let error = match name {
                "ingestd.lock" => Lock::take(folder.path()).map(drop).expect_err(kind),
                _ => Ledger::open(folder.path()).map(drop).expect_err(kind),
            };
            let words = format!("expected a plain file at `{}`, found {kind}: ", path.display());
            assert!(error.to_string().starts_with(&words), "{error}");
            if name == FILE {
                let error = Reader::open(folder.path()).map(drop).expect_err(kind);
                assert!(error.to_string().starts_with(&words), "{error}");
            }
        }
    }
}

#[test]
fn a_link_to_a_plain_file_is_one() {
    let [folder, other] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    drop(Ledger::open(other.path()).expect("a ledger"));
    symlink(other.path().join(FILE), folder.path().join(FILE)).expect("a link");
    Ledger::open(folder.path()).expect("the same");
}

#[test]
fn modes_are_set_right_and_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(FILE);
    let ledger = Ledger::open(folder.path()).expect("a ledger");
    assert_eq!((ledger.notes(), mode(&path)), (&[][..], 0o600));
    // While it is open, the files beside it are there.
    let beside = folder.path().join("ingestd.db-shm");
    for (file, wrong) in [(&path, 0o644), (&beside, 0o400)] {
        fs::set_permissions(file, Permissions::from_mode(wrong)).expect("ours");
        assert!(ledger.inspect().warnings.iter().any(|warning| warning.contains(&format!("{wrong:04o}"))));
        let again = Ledger::open(folder.path()).expect("a ledger");
        let [note] = again.notes() else { panic!("{:?}", again.notes()) };
        assert_eq!(note.level, Level::Warning);
        assert!(note.text.contains(&format!("had the mode {wrong:04o}: it is 0600 now")), "{}", note.text);
        assert_eq!(mode(file), 0o600);
    }
    assert_eq!(ledger.inspect(), ingestd::ledger::Inspection::default());
}

#[test]
fn a_new_ledger_where_a_daemon_ran_before_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    sources::Sources::at(Place::from(folder.path())).save(3, &[]).expect("writable");
    let ledger = Ledger::open(folder.path()).expect("a ledger");
    let [note] = ledger.notes() else { panic!("{:?}", ledger.notes()) };
    assert_eq!(note.level, Level::Error);
    assert!(
        note.text.contains("a new ledger is begun") && note.text.contains("What it left on air is not known here"),
        "{}",
        note.text
    );
    drop(ledger);
    assert_eq!(Ledger::open(folder.path()).expect("the same").notes(), []);
}

#[test]
fn a_ledger_that_is_not_there_any_more_is_not_written() {
    for replaced in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        let mut ledger = Ledger::open(folder.path()).expect("a ledger");
        let at = super::at("2026-11-22T10:00:00Z");
        let cursor = || {
            let mut writes = ingestd::engine::Writes::default();
            writes.push(ingestd::engine::Write::Cursor { at });
            writes
        };
        ledger.commit(cursor(), at).expect("it is there");
        let away = folder.path().join("away");
        fs::rename(&path, &away).expect("ours");
        if replaced {
            fs::copy(&away, &path).expect("ours");
        }
        let words = if replaced { "was replaced by another file" } else { "was deleted" };
        assert!(ledger.inspect().trouble.is_some_and(|trouble| trouble.contains(words)));
        let error = ledger.commit(cursor(), at).expect_err(words);
        assert!(error.is_passing() && error.to_string().contains(words), "{error}");
        assert!(ledger.is_behind(), "what was decided is kept");
        fs::rename(&away, &path).expect("ours");
        ledger.commit(ingestd::engine::Writes::default(), at).expect("it is back");
        assert!(!ledger.is_behind() && ledger.inspect().trouble.is_none());
    }
}

#[test]
fn a_file_beside_the_ledger_that_is_deleted_is_told_and_what_is_written_is_kept() {
    for name in ["ingestd.db-wal", "ingestd.db-shm"] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut ledger = Ledger::open(folder.path()).expect("a ledger");
        fs::remove_file(folder.path().join(name)).expect("it is there while the ledger is open");
        let trouble = ledger.inspect().trouble.expect(name);
        assert!(trouble.contains(&format!("{name}` was deleted: restart ingestd")), "{trouble}");
        let at = super::at("2026-11-22T10:00:00Z");
        let mut writes = ingestd::engine::Writes::default();
        writes.push(ingestd::engine::Write::Cursor { at });
        ledger.commit(writes, at).expect("it is written");
        drop(ledger);
        assert_eq!(Ledger::open(folder.path()).and_then(|ledger| ledger.meta()).expect("readable").cursor, Some(at), "{name}");
    }
}
