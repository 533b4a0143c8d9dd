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

/// What loads or sets a credential, with its name before a colon.
const DIRECTIVES: [&str; 4] = ["LoadCredential", "LoadCredentialEncrypted", "SetCredential", "SetCredentialEncrypted"];

/// The files of the service's unit, and the credentials that they load.
#[derive(Debug, Default)]
pub(super) struct Units {
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
    /// Those of this host.
    pub(super) fn of_host() -> Units {
        Units::of(&FOLDERS.map(PathBuf::from))
    }

    fn of(folders: &[PathBuf]) -> Units {
        let mut units = Units::default();
        // The first of the same name hides the others; of drop-ins each folder has its own.
        units.files.extend(folders.iter().map(|folder| folder.join(SERVICE)).find(|unit| unit.is_file()));
        for folder in folders {
            let Ok(entries) = fs::read_dir(folder.join(format!("{SERVICE}.d"))) else { continue };
            let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
            units.files.extend(files.filter(|file| file.extension().is_some_and(|extension| extension == "conf")));
        }
        for unit in &units.files {
            let text = fs::read_to_string(unit).unwrap_or_default();
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
}

/// What can be told of a credential from outside the service.
pub(super) fn where_loaded(name: &str, credential: &str, units: &Units) -> Finding {
    let Some(unit) = units.files.first() else {
        let what =
            format!("`{name}`: the credential `{credential}` is not there, and this host has no unit `{SERVICE}` that loads it");
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
        let units = Units::of(&[at("etc"), at("lib")]);
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
        assert!(where_loaded("x", "y", &Units::of(&[at("nowhere")])).what.contains("this host has no unit"));
    }
}
