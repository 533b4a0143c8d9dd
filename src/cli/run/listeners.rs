//! The listeners of a running daemon: the page's port, the port of the callbacks, the control socket. All are opened before anything is
//! sent, so that a daemon that cannot be reached does not start. Does not know what is said there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::{Failure, load};
use crate::config::Settings;
use crate::daemon::Handle;
use crate::web::control::Reloader;
use crate::web::{self, AppState, callbacks, control};

/// Open, and not yet served.
pub(super) struct Listeners {
    page: Option<TcpListener>,
    callbacks: Option<(TcpListener, callbacks::Keys)>,
    control: UnixListener,
    control_path: PathBuf,
}

/// Served until this is dropped, or until the daemon shuts down.
pub(super) struct Served {
    // They end with the set.
    _serving: JoinSet<()>,
    control_path: PathBuf,
}

/// Opens a port. `key` is the setting that names it.
pub(super) async fn listen(address: std::net::SocketAddr, key: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::new(format!("cannot listen on {address}: {error}"))
            .hint(format!("another program has the port: change `{key}` in the settings, or write `{key}: none`"))
    })
}

impl Listeners {
    /// Opens what the settings name beside the page, whose port is open already. Reads the keys of the callbacks.
    pub(super) async fn open(settings: &Settings, page: Option<TcpListener>) -> Result<Listeners, Failure> {
        let callbacks = match settings.callbacks {
            Some(address) => {
                let keys = load::read_callback_keys(settings).map_err(Failure::configuration)?;
                Some((listen(address, "callbacks").await?, keys))
            }
            None => None,
        };
        let control_path = settings.control_socket().map_err(Failure::configuration)?;
        let control = control::bind(&control_path).map_err(|error| {
            Failure::new(format!("cannot make the control socket `{}`: {error}", control_path.display()))
                .hint("name another place with `control: PATH` in the settings; a socket's path has 107 bytes at most")
        })?;
        Ok(Listeners { page, callbacks, control, control_path })
    }

    /// For the log: where they are.
    pub(super) fn places(&self) -> BTreeMap<&'static str, String> {
        let address = |listener: &TcpListener| listener.local_addr().map_or_else(|_| "?".to_owned(), |address| address.to_string());
        let page = self.page.as_ref().map(|page| ("page", address(page)));
        let callbacks = self.callbacks.as_ref().map(|(callbacks, _)| ("callbacks", address(callbacks)));
        let control = ("control", self.control_path.display().to_string());
        page.into_iter().chain(callbacks).chain([control]).collect()
    }

    /// Serves until `stopped` is true.
    pub(super) fn serve(self, app_state: AppState, handle: Handle, reloader: Reloader, stopped: watch::Receiver<bool>) -> Served {
        let Listeners { page, callbacks, control, control_path } = self;
        let state_folder = app_state.state_folder.clone();
        let mut serving = JoinSet::new();
        let until = |mut flag: watch::Receiver<bool>| async move { drop(flag.wait_for(|is_set| *is_set).await) };
        if let Some(page) = page {
            serving.spawn(web::serve(page, app_state, until(stopped.clone())));
        }
        if let Some((listener, keys)) = callbacks {
            serving.spawn(callbacks::serve(listener, keys, handle.clone(), until(stopped.clone())));
        }
        serving.spawn(control::serve(control, handle, (reloader, state_folder), until(stopped)));
        Served { _serving: serving, control_path }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // The next daemon replaces a socket that is left behind.
        let _ = std::fs::remove_file(&self.control_path);
    }
}
