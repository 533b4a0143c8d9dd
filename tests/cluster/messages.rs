//! The messages of PostgreSQL's protocol, as far as the proxy acts at them: statements, COMMIT, and its answer. Does not change them.

/// What a message is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A client asks to commit.
    Commit,
    /// A server has committed.
    Committed,
    /// A client prepares a statement under this name.
    Named(String),
    /// A client asks to cancel what another connection does.
    Cancel,
    Other,
}

/// One direction of a connection.
pub(crate) struct Messages {
    buffer: Vec<u8>,
    is_client: bool,
    /// Not read, or no longer: TLS.
    is_opaque: bool,
    /// The first message of a client has no type.
    is_first: bool,
    statements: String,
}

/// The codes that a client may begin with, beside a version.
const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;

impl Messages {
    pub(crate) fn new(is_client: bool, reads: bool) -> Messages {
        Messages { buffer: Vec::new(), is_client, is_opaque: !reads, is_first: is_client, statements: String::new() }
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The statements of the transaction that runs.
    pub(crate) fn statements(&self) -> &str {
        &self.statements
    }

    /// The next whole message.
    pub(crate) fn next(&mut self) -> Option<(Vec<u8>, Seen)> {
        // What a server says to a client that asked for TLS has one byte, and neither `S` nor `N` begins a message whose length is this
        // short: it is passed on as it is.
        if self.is_opaque || (!self.is_client && self.buffer.len() == 1) {
            self.is_opaque |= self.buffer.first() == Some(&b'S') && !self.is_client;
            return (!self.buffer.is_empty()).then(|| (std::mem::take(&mut self.buffer), Seen::Other));
        }
        let head = usize::from(!self.is_first);
        let length = self.buffer.get(head..head + 4)?;
        let length = u32::from_be_bytes(length.try_into().expect("four bytes"));
        let whole = head + usize::try_from(length).expect("32 bits");
        if self.buffer.len() < whole {
            return None;
        }
        let rest = self.buffer.split_off(whole);
        let message = std::mem::replace(&mut self.buffer, rest);
        let seen = if self.is_first { self.first(&message) } else { self.typed(message[0], &message[5..]) };
        Some((message, seen))
    }

    fn first(&mut self, message: &[u8]) -> Seen {
        let code = message.get(4..8).map_or(0, |code| u32::from_be_bytes(code.try_into().expect("four bytes")));
        self.is_first = code != 3 << 16;
        self.is_opaque = code == TLS;
        if code == CANCEL { Seen::Cancel } else { Seen::Other }
    }

    fn typed(&mut self, kind: u8, body: &[u8]) -> Seen {
        let texts: Vec<String> = body.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned()).collect();
        let text = |index: usize| texts.get(index).map_or("", String::as_str);
        match (self.is_client, kind) {
            (true, b'Q') => self.statement(text(0)),
            (true, b'P') => {
                let seen = self.statement(text(1));
                if text(0).is_empty() { seen } else { Seen::Named(text(0).to_owned()) }
            }
            (false, b'C') if text(0) == "COMMIT" => Seen::Committed,
            _ => Seen::Other,
        }
    }

    fn statement(&mut self, text: &str) -> Seen {
        let upper = text.to_ascii_uppercase();
        if upper.trim_start().starts_with("BEGIN") || upper.trim_start().starts_with("START TRANSACTION") {
            self.statements.clear();
        }
        self.statements.push_str(text);
        self.statements.push('\n');
        // The name of a setting is not the statement.
        if upper.replace("SYNCHRONOUS_COMMIT", "").contains("COMMIT") { Seen::Commit } else { Seen::Other }
    }
}
