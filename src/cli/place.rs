//! Where the ledger of these settings is. Reads the URL of a database, and shows nothing of it.

#[cfg(feature = "postgres")]
use std::sync::Arc;

use crate::config::{Settings, SharedLedger};
use crate::ledger::Place;
#[cfg(feature = "postgres")]
use crate::ledger::postgres::{Address, Station};
#[cfg(feature = "postgres")]
use crate::secret::SecretSource;

/// The place. Error: no `state` is named, or the URL cannot be read.
pub(super) fn place(settings: &Settings) -> Result<Place, String> {
    match &settings.ledger {
        None => settings.state_folder().map(Place::Folder),
        Some(shared) => shared_place(shared),
    }
}

#[cfg(feature = "postgres")]
fn shared_place(shared: &SharedLedger) -> Result<Place, String> {
    station(shared).map(Place::Station)
}

#[cfg(not(feature = "postgres"))]
fn shared_place(_: &SharedLedger) -> Result<Place, String> {
    Err("this ingestd was built without PostgreSQL".to_owned())
}

/// The station that these settings name.
#[cfg(feature = "postgres")]
pub(super) fn station(shared: &SharedLedger) -> Result<Station, String> {
    let address = address("ledger.postgres", &shared.postgres)?;
    let migrate = shared.migrate.as_ref().map(|source| self::address("ledger.migrate", source)).transpose()?;
    Station::new(&shared.station, address, migrate)
}

/// Where a database is. Error: the secret cannot be read, or is no URL; it shows nothing of it.
#[cfg(feature = "postgres")]
fn address(name: &str, source: &SecretSource) -> Result<Arc<Address>, String> {
    let url = source.read().map_err(|why| format!("`{name}`: {why}"))?;
    Address::parse(&url).map(Arc::new).map_err(|why| format!("`{name}`: {why}"))
}
