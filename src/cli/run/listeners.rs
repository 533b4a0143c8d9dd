//! The listeners of a running daemon: the page's port, the port of the callbacks, the control socket. One whose place is taken does not
//! keep the daemon down: it plays without it, says so, and tries again. Does not know what is said there.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::cli::{Failure, load};
use crate::config::Settings;
use crate::daemon::Handle;
use crate::web::callbacks::KeyRing;
use crate::web::control::Reloader;
use crate::web::{Access, AppState, ListenToken, NotListening, Pages, callbacks, control};

/// The time between two tries to open what could not be opened.
const TRY_EVERY: Duration = Duration::from_secs(15);

/// A listener, and what came of opening it.
struct Door<L> {
    name: &'static str,
    /// Where it is, for people.
    place: String,
    /// The setting that says where.
    setting: &'static str,
    opened: io::Result<L>,
}

/// As far as they could be opened, and not yet served.
pub(super) struct Listeners {
    pages: Vec<(Door<TcpListener>, SocketAddr)>,
    access: Access,
    callbacks: Option<(Door<TcpListener>, SocketAddr, KeyRing)>,
    control: (Door<ControlSocket>, PathBuf),
    not_listening: watch::Sender<NotListening>,
}

/// Served until this is dropped, or until the daemon shuts down.
pub(super) struct Served {
    // They end with the set.
    serving: JoinSet<()>,
}

impl Served {
    /// Lets what is being answered come to its end, for a moment: another serves the same doors from now on. What was given as `stopped`
    /// must be true.
    #[cfg(feature = "postgres")]
    pub(super) fn finish(self) {
        let Served { mut serving } = self;
        tokio::spawn(tokio::time::timeout(FINISH_MAX, async move { while serving.join_next().await.is_some() {} }));
    }
}

/// How long an answer may take that was begun in the role before.
#[cfg(feature = "postgres")]
const FINISH_MAX: Duration = Duration::from_secs(2);

/// Listens for orders. Its file goes with it; the next daemon replaces one that is left behind.
struct ControlSocket {
    listener: Option<UnixListener>,
    path: PathBuf,
    /// Whether its file stays when this goes: another listens there, too.
    stays: bool,
}

impl ControlSocket {
    fn open(path: &Path) -> io::Result<ControlSocket> {
        Ok(ControlSocket { listener: Some(control::bind(path)?), path: path.to_owned(), stays: false })
    }

    /// The same socket again.
    fn again(&self) -> io::Result<ControlSocket> {
        let again = |listener: &UnixListener| {
            let socket = std::os::unix::net::UnixListener::from(listener.as_fd().try_clone_to_owned()?);
            UnixListener::from_std(socket)
        };
        let listener = self.listener.as_ref().map(again).transpose()?;
        Ok(ControlSocket { listener, path: self.path.clone(), stays: true })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if !self.stays {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl<L> Door<L> {
    fn new(name: &'static str, setting: &'static str, place: impl Display, opened: io::Result<L>) -> Door<L> {
        Door { name, place: place.to_string(), setting, opened }
    }

    /// The same door again, for whoever serves there next: it stays open in between.
    fn again(&self, again: impl FnOnce(&L) -> io::Result<L>) -> Door<L> {
        let same = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
        let opened = self.opened.as_ref().map_err(same).and_then(again);
        Door { name: self.name, place: self.place.clone(), setting: self.setting, opened }
    }

    /// What it is called among those that are not open.
    fn key(&self) -> String {
        format!("{} {}", self.name, self.place)
    }

    /// Why it is not open, and what to do about it.
    fn why(&self, error: &io::Error) -> String {
        let Door { name, place, setting, .. } = self;
        let every = TRY_EVERY.as_secs();
        format!(
            "the {name} does not listen on {place}: {error}; it is tried again every {every} s (free this place, or change `{setting}` \
             in the settings and restart the daemon)"
        )
    }

    /// Says so, if it is not open.
    fn tell(&self, not_listening: &watch::Sender<NotListening>) {
        if let Err(error) = &self.opened {
            let why = self.why(error);
            tracing::error!("{why}");
            not_listening.send_modify(|all| drop(all.insert(self.key(), why)));
        }
    }

    /// The listener, as soon as it can be opened.
    async fn listener<F: Future<Output = io::Result<L>>>(
        mut self,
        open: impl Fn() -> F,
        not_listening: watch::Sender<NotListening>,
    ) -> L {
        loop {
            let error = match self.opened {
                Ok(listener) => return listener,
                Err(error) => error,
            };
            sleep(TRY_EVERY).await;
            self.opened = open().await;
            match &self.opened {
                Ok(_) => {
                    tracing::info!("the {} listens on {} now", self.name, self.place);
                    not_listening.send_modify(|all| drop(all.remove(&self.key())));
                }
                // The same again is told once.
                Err(again) if again.to_string() != error.to_string() => self.tell(&not_listening),
                Err(_) => {}
            }
        }
    }
}

impl Listeners {
    /// Opens what the settings name; the page's port may be open already. Reads the keys of the callbacks.
    ///
    /// Errors: a setting can never be right, or a key of the callbacks cannot be read.
    pub(super) async fn open(settings: &Settings, page: Option<TcpListener>) -> Result<Listeners, Failure> {
        let token = load::listen_token(settings).map(Arc::new);
        let access = Access { hosts: settings.listen.hosts.as_slice().into(), token };
        let mut pages = Vec::new();
        match page {
            Some(page) => pages.extend(page.local_addr().ok().map(|address| (Ok(page), address))),
            None => {
                for address in &settings.listen.addresses {
                    pages.push((TcpListener::bind(address).await, *address));
                }
            }
        }
        let door = |(opened, address)| (Door::new("page", "listen", address, opened), address);
        let pages: Vec<_> = pages.into_iter().map(door).collect();
        let callbacks = match settings.callbacks {
            Some(address) => {
                let keys = load::read_callback_keys(settings).map_err(Failure::configuration)?;
                let again = settings.clone();
                let keys = KeyRing::new(keys, Arc::new(move || load::read_callback_keys(&again)));
                let opened = TcpListener::bind(address).await;
                Some((Door::new("port of the callbacks", "callbacks", address, opened), address, keys))
            }
            None => None,
        };
        let path = settings.control_socket().map_err(Failure::configuration)?;
        let control = Door::new("control socket", "control", path.display(), ControlSocket::open(&path));
        if let Err(error) = &control.opened
            && matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidFilename)
        {
            let message = format!("cannot make the control socket `{}`: {error}", path.display());
            let hint = "name another place with `control: PATH` in the settings; a socket's path has 107 bytes at most";
            return Err(Failure::configuration(message).hint(hint));
        }
        let not_listening = watch::Sender::new(NotListening::new());
        for (door, _) in &pages {
            door.tell(&not_listening);
        }
        if let Some((door, ..)) = &callbacks {
            door.tell(&not_listening);
        }
        control.tell(&not_listening);
        if let Some(why) = access.token.as_ref().and_then(|token| token.trouble()) {
            tell_of_token(&why, &not_listening);
        }
        Ok(Listeners { pages, access, callbacks, control: (control, path), not_listening })
    }

    /// The same, to be served by whoever is next: the daemon changes its role, and its doors stay open.
    pub(super) fn again(&self) -> Listeners {
        let address = |(door, address): &(Door<TcpListener>, SocketAddr)| (door.again(again), *address);
        Listeners {
            pages: self.pages.iter().map(address).collect(),
            access: self.access.clone(),
            callbacks: self.callbacks.as_ref().map(|(door, address, keys)| (door.again(again), *address, keys.again())),
            control: (self.control.0.again(ControlSocket::again), self.control.1.clone()),
            not_listening: self.not_listening.clone(),
        }
    }

    /// Why the daemon does not listen where the settings say.
    pub(super) fn not_listening(&self) -> watch::Receiver<NotListening> {
        self.not_listening.subscribe()
    }

    /// For the log: where they are that are open.
    pub(super) fn places(&self) -> BTreeMap<&'static str, String> {
        let address = |listener: &TcpListener| listener.local_addr().map_or_else(|_| "?".to_owned(), |address| address.to_string());
        let bound = |door: &Door<TcpListener>| door.opened.as_ref().ok().map(address);
        let pages: Vec<String> = self.pages.iter().filter_map(|(door, _)| bound(door)).collect();
        let page = (!pages.is_empty()).then(|| ("page", pages.join(", ")));
        let callbacks = self.callbacks.as_ref().and_then(|(door, ..)| bound(door)).map(|at| ("callbacks", at));
        let control = self.control.0.opened.is_ok().then(|| ("control", self.control.1.display().to_string()));
        page.into_iter().chain(callbacks).chain(control).collect()
    }

    /// Serves until `stopped` is true.
    pub(super) fn serve(self, app_state: AppState, handle: Handle, reloader: Reloader, stopped: watch::Receiver<bool>) -> Served {
        let Listeners { pages, access, callbacks, control: (control, path), not_listening } = self;
        let mut serving = JoinSet::new();
        let until = |mut flag: watch::Receiver<bool>| async move { drop(flag.wait_for(|is_set| *is_set).await) };
        let for_control = app_state.clone();
        if let Some(token) = access.token.as_ref().filter(|token| token.trouble().is_some()) {
            serving.spawn(read_token(Arc::clone(token), not_listening.clone()));
        }
        let served = Pages::new(app_state, access, pages.len());
        for (door, address) in pages {
            let (listener, until) =
                (door.listener(move || TcpListener::bind(address), not_listening.clone()), until(stopped.clone()));
            let served = served.clone();
            serving.spawn(async move { served.serve(listener.await, until).await });
        }
        if let Some((door, address, keys)) = callbacks {
            let listener = door.listener(move || TcpListener::bind(address), not_listening.clone());
            let (handle, until) = (handle.clone(), until(stopped.clone()));
            serving.spawn(async move { callbacks::serve(listener.await, keys, handle, until).await });
        }
        serving.spawn(async move {
            let open = || {
                let opened = ControlSocket::open(&path);
                async move { opened }
            };
            let mut socket = control.listener(open, not_listening).await;
            if let Some(listener) = socket.listener.take() {
                control::serve(listener, handle, (reloader, for_control), until(stopped)).await;
            }
        });
        Served { serving }
    }
}

/// The same socket again.
fn again(listener: &TcpListener) -> io::Result<TcpListener> {
    TcpListener::from_std(std::net::TcpListener::from(listener.as_fd().try_clone_to_owned()?))
}

/// What the token is called among what is not open.
const TOKEN: &str = "listen_token";

/// Nothing is kept off the air because of a token.
fn tell_of_token(why: &str, not_listening: &watch::Sender<NotListening>) {
    let every = TRY_EVERY.as_secs();
    let text = format!(
        "`listen_token`: {why}; addresses that are not loopback answer only `/healthz` and `/readyz` until it can be read, which is tried \
         again every {every} s"
    );
    tracing::error!("{text}");
    not_listening.send_modify(|all| drop(all.insert(TOKEN.to_owned(), text)));
}

/// Reads the token until that succeeds.
async fn read_token(token: Arc<ListenToken>, not_listening: watch::Sender<NotListening>) {
    while let Some(before) = token.trouble() {
        sleep(TRY_EVERY).await;
        token.refresh().await;
        match token.trouble() {
            // The same again is told once.
            Some(why) if why != before => tell_of_token(&why, &not_listening),
            Some(_) => {}
            None => tracing::info!("`listen_token` can be read now"),
        }
    }
    not_listening.send_modify(|all| drop(all.remove(TOKEN)));
}
