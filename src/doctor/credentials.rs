//! Which unit loads a credential, for those who ask outside the service, where there are no credentials. Reads unit files as far as that
//! needs. Does not read a secret.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::finding::{Finding, FindingKind};

/// Where systemd looks for units, the first before the others (systemd.unit(5)).
const FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// The service.
const SERVICE: &str = "ingestd.service";

/// The template of the services of a host with several stations.
const TEMPLATE: &str = "ingestd@.service";

/// Where their settings are: those of a station in a folder of its own below.
const SETTINGS: &str = "/etc/ingestd";

/// What loads or sets a credential, with its name before a colon.
const DIRECTIVES: [&str; 4] = ["LoadCredential", "LoadCredentialEncrypted", "SetCredential", "SetCredentialEncrypted"];

/// The files of the service's unit, and the credentials that they load.
#[derive(Debug, Default)]
pub(super) struct Units {
    service: &'static str,
    files: Vec<PathBuf>,
    loaded: Vec<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    name: String,
    /// Where it is loaded from, if that is a path of this host.
    from: Option<PathBuf>,
    unit: PathBuf,
}

impl Units {
    /// Those of this host, of the service whose settings are in this folder.
    pub(super) fn of_host(settings: &Path) -> Units {
        Units::of(&FOLDERS.map(PathBuf::from), station(settings))
    }

    /// With the name of a station, those of its own.
    fn of(folders: &[PathBuf], station: Option<&str>) -> Units {
        let service = if station.is_some() { TEMPLATE } else { SERVICE };
        let mut units = Units { service, ..Units::default() };
        let dropins = [Some(format!("{service}.d")), station.map(|station| format!("ingestd@{station}.service.d"))];
        // The first of the same name hides the others; of drop-ins each folder has its own.
        units.files.extend(folders.iter().map(|folder| folder.join(service)).find(|unit| unit.is_file()));
        for folder in folders {
            for dropin in dropins.iter().flatten() {
                let Ok(entries) = fs::read_dir(folder.join(dropin)) else { continue };
                let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
                units.files.extend(files.filter(|file| file.extension().is_some_and(|extension| extension == "conf")));
            }
        }
        for unit in &units.files {
            let text = fs::read_to_string(unit).unwrap_or_default().replace("%i", station.unwrap_or("%i"));
            let settings = text.lines().filter_map(|line| line.trim().split_once('='));
            let ours = settings.filter(|(directive, _)| DIRECTIVES.contains(&directive.trim()));
            units.loaded.extend(ours.map(|(directive, value)| {
                let (name, from) = value.trim().split_once(':').unwrap_or((value.trim(), ""));
                let is_path = directive.starts_with("Load") && from.starts_with('/');
                Loaded { name: name.to_owned(), from: is_path.then(|| PathBuf::from(from)), unit: unit.clone() }
            }));
        }
        units
    }

    /// Whether the service is this host's, and so are the settings in this folder.
    pub(super) fn go_by(&self, settings: &Path) -> bool {
        !self.files.is_empty() && (settings == Path::new(SETTINGS) || station(settings).is_some())
    }

    /// The files of credentials that are not there: systemd starts nothing then, and its message does not name them.
    pub(super) fn missing(&self) -> Vec<Finding> {
        let missing = self
            .loaded
            .iter()
            .filter_map(|loaded| loaded.from.as_deref().filter(|from| is_missing(from)).map(|from| (loaded, from)));
        let told = missing.map(|(Loaded { name, unit, .. }, from)| {
            let (unit, from) = (unit.display(), from.display());
            let what = format!("`{unit}` loads the credential `{name}` from `{from}`, and that file is not there");
            let advice =
                "put the secret there, or take the line out of the unit; the service does not start, and systemd does not say why";
            Finding::problem(FindingKind::Secret, name, what, advice)
        });
        told.collect()
    }
}

/// The name of the station whose settings are in this folder.
fn station(settings: &Path) -> Option<&str> {
    settings.parent().filter(|parent| *parent == Path::new(SETTINGS)).and_then(|_| settings.file_name()?.to_str())
}

/// What can be told of a credential from outside the service.
pub(super) fn where_loaded(name: &str, credential: &str, units: &Units) -> Finding {
    let Some(unit) = units.files.first() else {
        let what = format!(
            "`{name}`: the credential `{credential}` is not there, and this host has no unit `{}` that loads it",
            units.service
        );
        let advice = "install the unit, or ask in the service's environment";
        return Finding::problem(FindingKind::Secret, name, what, advice);
    };
    let Some(loaded) = units.loaded.iter().rfind(|loaded| loaded.name == credential) else {
        let what = format!("`{name}`: no `LoadCredential={credential}:PATH` stands in `{}` or its drop-ins", unit.display());
        let advice = "add that line, then `systemctl daemon-reload` and `systemctl restart ingestd`";
        return Finding::problem(FindingKind::Secret, name, what, advice);
    };
    let by = loaded.unit.display();
    if let Some(from) = &loaded.from
        && is_missing(from)
    {
        let what =
            format!("`{name}`: `{by}` loads the credential `{credential}` from `{}`, and that file is not there", from.display());
        return Finding::problem(FindingKind::Secret, name, what, "put the secret there; without it the service does not start");
    }
    let from = loaded.from.as_ref().map(|from| format!(" from `{}`", from.display())).unwrap_or_default();
    let what =
        format!("`{name}`: the credential `{credential}` is loaded by `{by}`{from}, for the service alone: it was not read here");
    Finding::note(FindingKind::Secret, name, what, "")
}

/// Whether a file is known not to be there: a folder that this user may not look into says nothing.
fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_that_loads_a_credential_is_named_and_so_is_a_file_that_is_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let dropins = at(&format!("etc/{SERVICE}.d"));
        fs::create_dir_all(&dropins).expect("writable");
        fs::create_dir_all(at("lib")).expect("writable");
        fs::write(at("key"), "hush").expect("writable");
        let unit = format!(
            "[Service]\nLoadCredential=here:{}\n LoadCredential=gone:{}\nSetCredential=set:hush\n",
            at("key").display(),
            at("none").display()
        );
        fs::write(at("lib").join(SERVICE), unit).expect("writable");
        fs::write(dropins.join("more.conf"), "[Service]\nLoadCredential = more\n").expect("writable");
        let units = Units::of(&[at("etc"), at("lib")], None);
        let missing = units.missing();
        assert!(missing.len() == 1 && missing[0].what.contains("the credential `gone` from `"), "{missing:?}");
        for (credential, is_problem, words) in [
            ("here", false, "lib/ingestd.service` from `"),
            ("set", false, "lib/ingestd.service`, for the service alone"),
            ("more", false, "more.conf`"),
            ("gone", true, "that file is not there"),
            ("other", true, "no `LoadCredential=other:PATH` stands in"),
        ] {
            let finding = where_loaded("account.secret_key", credential, &units);
            assert!(finding.is_problem() == is_problem && finding.what.contains(words), "{finding:?}");
            assert!(!finding.what.contains("hush"), "{finding:?}");
        }
        assert!(where_loaded("x", "y", &Units::of(&[at("nowhere")], None)).what.contains("this host has no unit"));
    }

    #[test]
    fn a_station_has_the_template_and_drop_ins_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("ingestd@north.service.d")).expect("writable");
        fs::write(at(TEMPLATE), "[Service]\nLoadCredential=key:/nowhere/%i/key\n").expect("writable");
        fs::write(at("ingestd@north.service.d/more.conf"), "[Service]\nLoadCredential=more\n").expect("writable");
        let units = Units::of(&[at("")], station(Path::new("/etc/ingestd/north")));
        assert!(where_loaded("x", "key", &units).what.contains("from `/nowhere/north/key`"));
        assert!(where_loaded("x", "more", &units).what.contains("more.conf"));
        assert!(where_loaded("x", "more", &Units::of(&[at("")], Some("south"))).is_problem());
        assert!(units.go_by(Path::new("/etc/ingestd/north")) && units.go_by(Path::new("/etc/ingestd")));
        assert!(!units.go_by(Path::new("/srv/somebody")) && !Units::default().go_by(Path::new("/etc/ingestd")));
    }
}
