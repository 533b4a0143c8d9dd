//! Where a ledger is: in a folder, or at a station of a database that several hosts share. Does not open it.

use std::fmt;
use std::path::{Path, PathBuf};

#[cfg(feature = "postgres")]
use super::postgres::Station;

/// Where a ledger is.
#[derive(Clone, Debug)]
pub enum Place {
    /// A file in this folder.
    Folder(PathBuf),
    /// A station on PostgreSQL.
    #[cfg(feature = "postgres")]
    Station(Station),
}

impl Place {
    /// The folder, where it is one.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Place::Folder(folder) => Some(folder),
            #[cfg(feature = "postgres")]
            Place::Station(_) => None,
        }
    }
}

impl From<&Path> for Place {
    fn from(folder: &Path) -> Place {
        Place::Folder(folder.to_owned())
    }
}

#[cfg(feature = "postgres")]
impl From<Station> for Place {
    fn from(station: Station) -> Place {
        Place::Station(station)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Folder(folder) => write!(formatter, "`{}`", folder.join(super::FILE).display()),
            #[cfg(feature = "postgres")]
            Place::Station(station) => formatter.write_str(&station.shown()),
        }
    }
}
