//! The starts that pass on the way to the endpoint: which node sent one, and when. The sandbox sees what arrives, and not from whom.
//! Reads no more of HTTP than that takes.

use jiff::Timestamp;

/// A start on its way.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// When it came by.
    pub(crate) at: Timestamp,
    /// Which life of the node opened its connection.
    pub(crate) life: u64,
    /// Its robot, which has the name of its job here.
    pub(crate) robot: String,
}

/// The requests of one connection.
#[derive(Default)]
pub(crate) struct Requests {
    buffer: Vec<u8>,
}

impl Requests {
    /// The robots of the starts that are whole now.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        self.buffer.extend_from_slice(bytes);
        let mut robots = Vec::new();
        while let Some(whole) = self.whole() {
            let request: Vec<u8> = self.buffer.drain(..whole).collect();
            let text = String::from_utf8_lossy(&request);
            let is_start = text.lines().any(|line| line.eq_ignore_ascii_case("x-tc-action: StartStreamIngest"));
            if let Some((_, rest)) = text.split_once("\"UserId\":\"").filter(|_| is_start) {
                robots.push(rest.split('"').next().unwrap_or_default().to_owned());
            }
        }
        robots
    }

    fn whole(&self) -> Option<usize> {
        let head = self.buffer.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
        Some(head + length).filter(|whole| *whole <= self.buffer.len())
    }
}
