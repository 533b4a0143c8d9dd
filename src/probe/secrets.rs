//! The secrets of a stream's URL, read when it is looked at. Does not know where the URL comes from, and shows none of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;

use crate::secret::SecretSource;
use crate::trtc::StreamUrl;

/// Returns a stream's URL with its secrets in their places. It reads files.
///
/// Errors: which one cannot be read, and why.
pub fn fill_secrets(sources: &BTreeMap<Arc<str>, SecretSource>, stream: &StreamUrl) -> Result<StreamUrl, String> {
    let read = |name: &str| -> Result<(String, SecretString), String> {
        let source = sources.get(name).ok_or_else(|| format!("the settings have no secret `{name}`"))?;
        Ok((name.to_owned(), source.read().map_err(|error| format!("`secrets.{name}`: {error}"))?))
    };
    let secrets: BTreeMap<String, SecretString> = stream.secret_names().map(read).collect::<Result<_, _>>()?;
    stream.filled(|name| secrets.get(name).cloned())
}
