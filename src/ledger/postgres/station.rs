//! Which database, and which station in it. Does not connect.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::Blocking;
use super::address::Address;

/// The longest name of a station: its schema is `ingestd_` and the name.
const NAME_MAX: usize = 32;

/// One account with its settings, its schedule and its ledger, in a database that may hold many. Clones share the connection of those who
/// only read.
#[derive(Clone)]
pub struct Station {
    name: Arc<str>,
    address: Arc<Address>,
    migrate: Arc<Address>,
    owner: Option<Arc<str>>,
    idle: Arc<Mutex<Option<Blocking>>>,
}

impl Station {
    /// The station of this name. `migrate` is by which its tables are changed, where that is another URL.
    ///
    /// Errors: it cannot be a name.
    pub fn new(name: &str, address: Arc<Address>, migrate: Option<Arc<Address>>) -> Result<Station, String> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(fits) {
            return Err(format!("expected the name of a station, up to {NAME_MAX} of a-z, 0-9, _ and -, found `{name}`"));
        }
        let migrate = migrate.unwrap_or_else(|| Arc::clone(&address));
        Ok(Station { name: Arc::from(name), address, migrate, owner: None, idle: Arc::default() })
    }

    /// The same for the process of this id, which writes only while it owns. The term alone would not say so: a fail-over of the database may
    /// lose a take-over, and the next has the same term.
    #[must_use]
    pub fn for_process(self, id: &str) -> Station {
        Station { owner: Some(Arc::from(id)), ..self }
    }

    /// Who is to own; `None`: whoever has the term.
    pub(super) fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The database.
    pub fn address(&self) -> &Arc<Address> {
        &self.address
    }

    /// The database, for changes of its tables.
    pub fn migrate(&self) -> &Arc<Address> {
        &self.migrate
    }

    /// The schema of its tables, as SQL writes it.
    pub(super) fn schema(&self) -> String {
        format!("\"ingestd_{}\"", self.name)
    }

    /// Its place, for people.
    pub fn shown(&self) -> String {
        format!("station `{}` of the database {}", self.name, self.address.shown())
    }

    /// The connection of somebody who has done with reading.
    pub(super) fn take_idle(&self) -> Option<Blocking> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps a connection for the next who reads.
    pub(super) fn give_back(&self, blocking: Blocking) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(blocking);
    }
}

impl fmt::Debug for Station {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Station({})", self.shown())
    }
}
