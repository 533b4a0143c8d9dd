//! Where a secret is kept, and how it is read. Refuses to know what it opens, and to show it: a value leaves here only as a
//! [`SecretString`], which is wiped when dropped and cannot be printed.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::trtc::advice::SecretPlace;

/// Longest secret, in bytes: a temporary token is up to 4,096, and a file that is larger than this was named by mistake.
const SECRET_BYTES_MAX: usize = 16 * 1024;

/// Where a secret is kept. Holds names, never a value, so it may be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// `{env: NAME}`: an environment variable.
    Env(String),
    /// `{file: PATH}`: a file.
    File(PathBuf),
    /// `{credential: NAME}`: `$CREDENTIALS_DIRECTORY/NAME`, which systemd fills from `LoadCredential=`.
    Credential(String),
}

impl SecretSource {
    /// An environment variable of that name, if it can be one: letters, digits and underscores, no digit first.
    pub fn env(name: &str) -> Option<SecretSource> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let good = (1..=256).contains(&name.len()) && name.bytes().all(word) && !name.as_bytes()[0].is_ascii_digit();
        good.then(|| SecretSource::Env(name.to_owned()))
    }

    /// A credential of that name, if it can be one: a file name as systemd takes it, without a slash.
    pub fn credential(name: &str) -> Option<SecretSource> {
        let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':');
        let good = (1..=255).contains(&name.len()) && name.bytes().all(fits) && !matches!(name, "." | "..");
        good.then(|| SecretSource::Credential(name.to_owned()))
    }

    /// What an operator must know to change it.
    pub fn place(&self) -> SecretPlace {
        match self {
            SecretSource::Env(_) => SecretPlace::Environment,
            SecretSource::File(_) => SecretPlace::File,
            SecretSource::Credential(_) => SecretPlace::Credential,
        }
    }

    /// Whether there is anything at that place, readable or not. An environment variable that is empty is not there.
    pub fn is_present(&self) -> bool {
        match self {
            SecretSource::Env(name) => std::env::var_os(name).is_some_and(|value| !value.is_empty()),
            SecretSource::File(_) | SecretSource::Credential(_) => self.path().is_ok_and(|path| path.exists()),
        }
    }

    /// Reads the secret again, without the line end behind it. The message of a failure names the place, never the value.
    ///
    /// Errors: it is not there, cannot be read, is empty, is longer than 16 KiB, or holds anything but visible ASCII.
    pub fn read(&self) -> Result<SecretString, String> {
        let bytes = match self {
            SecretSource::Env(name) => match std::env::var_os(name) {
                Some(value) => Zeroizing::new(value.into_encoded_bytes()),
                None => return Err(format!("{self} is not set")),
            },
            SecretSource::File(_) | SecretSource::Credential(_) => {
                read_file(&self.path()?).map_err(|error| format!("cannot read {self}: {error}"))?
            }
        };
        if bytes.len() > SECRET_BYTES_MAX {
            return Err(format!("{self} holds more than {SECRET_BYTES_MAX} bytes: a secret of Tencent Cloud is shorter"));
        }
        let value = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let value = value.strip_suffix(b"\r").unwrap_or(value);
        if value.is_empty() {
            return Err(format!("{self} is empty"));
        }
        match std::str::from_utf8(value) {
            Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(SecretString::from(text.to_owned())),
            _ => Err(format!("{self} holds something other than visible ASCII characters: one secret, on one line, is wanted")),
        }
    }

    /// A warning when it is a file that every user of this host can read.
    pub fn exposure(&self) -> Option<String> {
        let mode = self.path().ok()?.metadata().ok()?.permissions().mode();
        (mode & 0o004 != 0).then(|| format!("{self} can be read by every user of this host (mode {:04o})", mode & 0o7777))
    }

    fn path(&self) -> Result<PathBuf, String> {
        match self {
            SecretSource::File(path) => Ok(path.clone()),
            SecretSource::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
                Some(folder) if !folder.is_empty() => Ok(Path::new(&folder).join(name)),
                _ => Err(format!(
                    "{self} is not there: `$CREDENTIALS_DIRECTORY` is not set; the unit needs `LoadCredential={name}:PATH`"
                )),
            },
            SecretSource::Env(name) => Err(format!("`${name}` is not a file")),
        }
    }
}

/// As messages name it: `$NAME`, a path, or the credential.
impl fmt::Display for SecretSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretSource::Env(name) => write!(formatter, "the environment variable `{name}`"),
            SecretSource::File(path) => write!(formatter, "the secret file `{}`", path.display()),
            SecretSource::Credential(name) => write!(formatter, "the credential `{name}`"),
        }
    }
}

/// Reads one byte more than a secret may have, at most. The room is there from the start, so that growing leaves no copies.
fn read_file(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX + 2));
    File::open(path)?.take(SECRET_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn file_with(content: &[u8]) -> (tempfile::TempDir, SecretSource) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secret");
        std::fs::write(&path, content).expect("writable");
        (folder, SecretSource::File(path))
    }

    #[test]
    fn one_line_end_is_not_part_of_a_secret() {
        for (content, value) in [("abc", "abc"), ("abc\n", "abc"), ("abc\r\n", "abc"), ("a+/=\n", "a+/=")] {
            let (_folder, source) = file_with(content.as_bytes());
            assert_eq!(source.read().expect("a secret").expose_secret(), value);
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_and_never_shown() {
        let long = vec![b'x'; SECRET_BYTES_MAX + 5];
        for (content, why) in [
            (&b""[..], "is empty"),
            (b"\n", "is empty"),
            (b"hush\nhush", "visible ASCII"),
            (b"hush hush", "visible ASCII"),
            (b"hush\xff", "visible ASCII"),
            (&long, "more than 16384 bytes"),
        ] {
            let (_folder, source) = file_with(content);
            let message = source.read().expect_err("refused");
            assert!(message.contains(why), "{message}");
            assert!(!message.contains("hush") && !message.contains("xxx"), "{message}");
        }
    }

    #[test]
    fn a_place_without_a_secret_is_named() {
        let message = SecretSource::File("/nowhere/key".into()).read().expect_err("no file");
        assert!(message.starts_with("cannot read the secret file `/nowhere/key`: "), "{message}");
        let message = SecretSource::Env("INGESTD_TEST_NO_SUCH_VARIABLE".into()).read().expect_err("no variable");
        assert_eq!(message, "the environment variable `INGESTD_TEST_NO_SUCH_VARIABLE` is not set");
    }

    #[test]
    fn names_that_cannot_be_are_no_source() {
        for name in ["", "1A", "A-B", "A=B", "AKID/+", "A B"] {
            assert_eq!(SecretSource::env(name), None, "{name}");
        }
        for name in ["", ".", "..", "../etc/shadow", "a/b", "a b", "a:b"] {
            assert_eq!(SecretSource::credential(name), None, "{name}");
        }
        assert!(SecretSource::env("TENCENTCLOUD_SECRET_ID").is_some() && SecretSource::credential("trtc-app.main").is_some());
    }

    #[test]
    fn a_file_that_all_can_read_draws_a_warning() {
        let (_folder, source) = file_with(b"abc");
        let SecretSource::File(path) = &source else { unreachable!("it is a file") };
        for (mode, warned) in [(0o600, false), (0o640, false), (0o604, true), (0o644, true)] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("our own file");
            assert_eq!(source.exposure().is_some(), warned, "{mode:o}");
        }
    }
}
