//! Spoils files: bytes, lines, words of the language where they do not belong. Refuses to know what is right; one seed makes one file,
//! for ever, as long as the corpus stays the same.

/// Keys of a job and of a file, right and wrong.
const KEYS: &[&str] = &[
    "timezone",
    "calendars",
    "defaults",
    "jobs",
    "at",
    "once",
    "cron",
    "every",
    "after",
    "days",
    "between",
    "from",
    "until",
    "except",
    "for",
    "to",
    "length",
    "repeat",
    "seek",
    "tempo",
    "live",
    "volume",
    "room",
    "app",
    "region",
    "robot",
    "stream",
    "fallback",
    "conflict",
    "late",
    "start_within",
    "retry",
    "first",
    "cap",
    "attempts",
    "also",
    "priority",
    "heal",
    "on_remove",
    "preflight",
    "progress",
    "idle_timeout",
    "enabled",
    "note",
    "id",
    "type",
    "<<",
    "promo",
    "rooom",
];

/// Values of every kind, at and past their limits.
const VALUES: &[&str] = &[
    "18:00",
    "\"24:00\"",
    "00:00",
    "23:59:59.999",
    "02:30",
    "[02:30, 03:00, 01:59:59]",
    "1:30",
    "2026-11-22",
    "2026-02-29",
    "2026-11-22..2026-12-31",
    "9999-12-31",
    "0000-01-01",
    "-009999-01-01",
    "9999-12-31 23:59:59",
    "2026-03-29 02:30",
    "1s",
    "1ms",
    "0s",
    "1h",
    "90m",
    "25h",
    "3660d",
    "3661d",
    "99999999999999999999d",
    "mon..fri",
    "fri..mon",
    "[sat, sun]",
    "daily",
    "\"*/5 * * * *\"",
    "\"0 0 29 2 *\"",
    "\"0 0 31 2 *\"",
    "\"* * * * * *\"",
    "\"0 0 L * 5#3\"",
    "\"59 23 31 12 7\"",
    "\"30 2 * * SUN#L\"",
    "09:00..21:00",
    "22:00..02:00",
    "00:00..00:00",
    "forever",
    "never",
    "0",
    "1",
    "200",
    "-1",
    "4294967294",
    "4294967295",
    "18446744073709551616",
    "0123",
    "0x10",
    "1e9",
    "1.25",
    ".nan",
    "true",
    "false",
    "yes",
    "no",
    "on",
    "~",
    "null",
    "\"\"",
    "[]",
    "{}",
    "[[]]",
    "{a: {b: c}}",
    "Asia/Shanghai",
    "America/New_York",
    "Europe/Berlin",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "UTC",
    "Local",
    "+08:00",
    "lobby",
    "直播间",
    "{id: \"42\", type: string}",
    "{id: 42, type: integer}",
    "\"42\"",
    "https://h/a.mp4",
    "rtmp://u:p@h/app/key?x=y",
    "https://h/a.m3u8",
    "file:///etc/passwd",
    "https://",
    "https://[::1]:99999/",
    "\"https://h/\\u202e\"",
    "\"{room}-{job}\"",
    "\"{start}\"",
    "\"{\"",
    "reject",
    "preempt",
    "yield",
    "allow",
    "join",
    "restart",
    "skip",
    "stop",
    "finish",
    "main",
    "holidays",
    "[holidays, 2026-11-22]",
    "\"\\e[31m\\x9b\\u202e\\u200b\"",
    "&a",
    "*a",
    "&a [*a]",
    "<<: *a",
    "!!str",
    "!!binary",
    "!x",
    "|",
    ">-",
    "'",
    "\"",
    "#",
    "? ",
    "- ",
    ": ",
    "---",
    "...",
    "%YAML 1.1",
    "\t",
    "\r",
    "\u{0}",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\u{202e}",
    "\u{3000}",
];

/// Values that a key takes, so that more than the reader is reached. `;` stands between them.
const FITTING: &[(&str, &str)] = &[
    (
        "timezone",
        "Asia/Shanghai;America/New_York;Europe/Berlin;Pacific/Apia;Africa/Casablanca;Antarctica/Troll;UTC;Australia/Lord_Howe",
    ),
    ("at", "18:00;02:30;[02:30, 03:00, 01:59:59];00:00;23:59:59;\"12:00\""),
    ("once", "2026-12-01 18:00;2027-03-28 02:30;[2026-12-14 19:55, 2027-11-07 01:30];9999-12-30 23:59;2027-02-28 00:00"),
    ("cron", "\"*/5 * * * *\";\"0 0 29 2 *\";\"* * * * * *\";\"0 0 L * *\";\"30 2 * * SUN#L\";\"59 23 31 12 *\";\"0 2 1-7 * MON\""),
    ("every", "30m;1h;1s;24h;7m;90s;11h;1d"),
    ("days", "mon..fri;[sat, sun];daily;sun;fri..mon;weekdays"),
    ("between", "09:00..21:00;22:00..02:00;02:30..03:30;00:00..00:01"),
    ("from", "2026-11-25;2027-03-28 02:30;9999-12-31;2026-11-22"),
    ("until", "2027-01-01;2027-03-28 02:30;9999-12-31;2026-11-23"),
    ("except", "2026-11-24;2026-11-22..2026-12-31;[2026-11-23, 2026-11-25..2027-12-01];[]"),
    ("for", "10m;1ms;3660d;25h;90s;2h;7d;1s"),
    ("to", "20:00;02:30;never;00:00;18:00;23:59:59"),
    ("length", "1m30s;1ms;3660d;2h;10s"),
    ("repeat", "forever;1;3;100;10"),
    ("seek", "0s;1s;1h;3m;1ms"),
    ("tempo", "1.25;0.5;2;1;1.0"),
    ("live", "true;false"),
    ("volume", "0;100;200"),
    ("room", "lobby;42;直播间;{id: \"42\", type: string};4294967294;r"),
    ("app", "main"),
    ("robot", "\"{job}\";bot;\"{job}-{start}\";\"{room}-x\""),
    ("stream", "https://h/a.mp4;rtmp://h/app/key;https://h/a.m3u8;https://h/é"),
    ("conflict", "reject;preempt;yield;allow"),
    ("late", "join;restart;skip"),
    ("start_within", "1s;20m;10d;0s;1h"),
    ("retry", "{cap: 10s};{first: 2s, attempts: 7};{attempts: 1};{also: [FailedOperation.NotAllowed]}"),
    ("priority", "0;5;9"),
    ("heal", "true;false"),
    ("on_remove", "stop;finish"),
    ("enabled", "true;false"),
    ("progress", "true;false"),
    ("note", "\"a \\e[31m\\u202e\";晚会：一;42"),
];

/// A value that the key takes, if we know one.
fn fitting(key: &str, random: &mut Random) -> Option<&'static str> {
    let (_, values) = FITTING.iter().find(|(name, _)| *name == key)?;
    Some(random.one(&values.split(';').collect::<Vec<_>>()))
}

/// The same sequence of numbers for the same seed.
struct Random(u64);

impl Random {
    /// The next number below a bound that is not 0.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = mixed ^ (mixed >> 31);
        usize::try_from(mixed % bound.max(1) as u64).unwrap_or(0)
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// A piece of `length`, short more often than long.
    fn piece(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let reach = 1 << self.below(8);
        start..(start + self.below(reach) + 1).min(length)
    }
}

/// The files to start from.
pub(super) struct Corpus {
    /// Those that are schedules.
    good: Vec<Vec<u8>>,
    bad: Vec<Vec<u8>>,
}

impl Corpus {
    pub(super) fn new(files: Vec<Vec<u8>>, is_good: impl Fn(&[u8]) -> bool) -> Corpus {
        let (good, bad): (Vec<_>, Vec<_>) = files.into_iter().partition(|bytes| is_good(bytes));
        assert!(good.len() >= 15 && bad.len() >= 60, "only {} good files and {} bad ones", good.len(), bad.len());
        Corpus { good, bad }
    }

    /// The file of a seed.
    pub(super) fn spoilt(&self, seed: u64) -> Vec<u8> {
        let mut random = Random(seed.wrapping_mul(0xd134_2543_de82_ef95));
        let mut bytes = self.any(&mut random).to_vec();
        // Half of them are spoilt once: a file with many faults ends at the first.
        let times = if random.below(2) == 0 { 1 } else { 1 + random.below(6) };
        for _ in 0..times {
            self.spoil(&mut bytes, &mut random);
        }
        bytes
    }

    /// A good one more often than not: what is not refused goes further.
    fn any(&self, random: &mut Random) -> &[u8] {
        let files = if random.below(4) == 0 { &self.bad } else { &self.good };
        &files[random.below(files.len())]
    }

    fn spoil(&self, bytes: &mut Vec<u8>, random: &mut Random) {
        match random.below(20) {
            0 => flip(bytes, random),
            1 => bytes.truncate(random.below(bytes.len() + 1)),
            2 => {
                let piece = random.piece(bytes.len());
                let copy = bytes[piece.clone()].repeat(1 + random.below(3));
                bytes.splice(piece.start..piece.start, copy);
            }
            3 => drop(bytes.drain(random.piece(bytes.len()))),
            4 => {
                let (at, value) = (random.below(bytes.len() + 1), random.one(VALUES));
                bytes.splice(at..at, value.bytes());
            }
            5 | 6 => on_lines(bytes, |lines| shuffle(lines, random)),
            7..=10 => on_lines(bytes, |lines| field(lines, random)),
            11 => {
                let other = self.any(random);
                on_lines(bytes, |lines| {
                    let (from, at) = (random.below(lines.len() + 1), random.below(lines.len() + 1));
                    let other: Vec<Vec<u8>> = other.split(|byte| *byte == b'\n').skip(from).map(<[u8]>::to_vec).collect();
                    lines.splice(at..at, other.into_iter().take(6));
                });
            }
            12 => digit(bytes, random),
            // The most fruitful one: a value of the language where another one was.
            _ => value(bytes, random),
        }
    }
}

fn flip(bytes: &mut [u8], random: &mut Random) {
    if !bytes.is_empty() {
        let at = random.below(bytes.len());
        bytes[at] =
            if random.below(2) == 0 { bytes[at] ^ (1 << random.below(8)) } else { u8::try_from(random.below(256)).unwrap_or(0) };
    }
}

/// Another digit where one is.
fn digit(bytes: &mut [u8], random: &mut Random) {
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
    if !places.is_empty() {
        bytes[places[random.below(places.len())]] = b"0123456789"[random.below(10)];
    }
}

/// Another value, in place of one after `: ` or in a list.
fn value(bytes: &mut Vec<u8>, random: &mut Random) {
    let begins = |at: &usize| *at >= 2 && matches!(&bytes[at - 2..*at], b": " | b", ") && bytes[*at] != b'\n';
    let places: Vec<usize> = (0..bytes.len()).filter(begins).collect();
    if !places.is_empty() {
        let start = places[random.below(places.len())];
        let rest = &bytes[start..];
        let length = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b'\n')).unwrap_or(rest.len());
        let before = &bytes[..start - 2];
        let key = before.iter().rposition(|byte| !byte.is_ascii_lowercase() && *byte != b'_').map_or(0, |at| at + 1);
        let key = String::from_utf8_lossy(&before[key..]).into_owned();
        let any = random.one(VALUES);
        let value = if random.below(4) == 0 { any } else { fitting(&key, random).unwrap_or(any) };
        bytes.splice(start..start + length, value.bytes());
    }
}

fn on_lines(bytes: &mut Vec<u8>, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    change(&mut lines);
    *bytes = lines.join(&b'\n');
}

fn shuffle(lines: &mut Vec<Vec<u8>>, random: &mut Random) {
    let (one, other) = (random.below(lines.len()), random.below(lines.len()));
    match random.below(4) {
        0 => lines.swap(one, other),
        1 => lines.insert(other, lines[one].clone()),
        2 => drop(lines.remove(one)),
        _ => lines[one].splice(0..0, random.one(&["  ", "\t", " ", "- ", "#"]).bytes()).for_each(drop),
    }
}

/// A further field, beside one of a mapping in either style.
fn field(lines: &mut Vec<Vec<u8>>, random: &mut Random) {
    let at = random.below(lines.len());
    let (key, any) = (random.one(KEYS), random.one(VALUES));
    let value = if random.below(4) == 0 { any } else { fitting(key, random).unwrap_or(any) };
    if let Some(open) = lines[at].iter().position(|byte| *byte == b'{') {
        lines[at].splice(open + 1..=open, format!("{key}: {value}, ").into_bytes());
    } else {
        let indent = lines[at].iter().take_while(|byte| **byte == b' ').count();
        lines.insert(at, format!("{}{key}: {value}", " ".repeat(indent)).into_bytes());
    }
}
