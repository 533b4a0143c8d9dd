//! What TRTC calls a room, a robot's user id and a region: their ranges. It does not know schedules.

use std::fmt;

/// A room of an application. An integer room and a string room of the same digits are two different rooms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Room {
    /// `RoomIdType` 1: 1..=4294967294 (`PrivateMapKey` carries it as a u32).
    Integer(u32),
    /// `RoomIdType` 0: 1 to 64 bytes.
    Text(String),
}

impl Room {
    /// Returns an integer room, or why the number is not one.
    pub fn integer(id: u64) -> Result<Room, String> {
        match u32::try_from(id) {
            Ok(id) if (1..=ROOM_INTEGER_MAX).contains(&id) => Ok(Room::Integer(id)),
            _ => Err(format!("an integer room is 1 to {ROOM_INTEGER_MAX}")),
        }
    }

    /// Returns a string room, or why the text is not one.
    pub fn text(id: &str) -> Result<Room, String> {
        if id.is_empty() {
            return Err("a room needs a name".to_owned());
        }
        if id.len() > ROOM_BYTES_MAX {
            return Err(format!("a string room is at most {ROOM_BYTES_MAX} bytes; this one has {}", id.len()));
        }
        if id.chars().any(char::is_control) {
            return Err("a room's name cannot hold control characters".to_owned());
        }
        Ok(Room::Text(id.to_owned()))
    }

    /// The room that a text as tables show it means: `42` is an integer room, `lobby` and `"42"` are string rooms. Or why there
    /// can be no such room.
    pub fn parse(shown: &str) -> Result<Room, String> {
        if let Ok(id) = shown.parse() {
            return Room::integer(id);
        }
        Room::text(shown.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(shown))
    }

    /// `RoomIdType` as StartStreamIngest takes it. (StartPublishCdnStream has it the other way round.)
    pub fn type_id(&self) -> u64 {
        match self {
            Room::Integer(_) => 1,
            Room::Text(_) => 0,
        }
    }

    /// `integer` or `string`, as our JSON shows it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Room::Integer(_) => "integer",
            Room::Text(_) => "string",
        }
    }

    /// The room that `id` and [`Room::type_name`] describe: the way back from the ledger.
    pub fn from_parts(id: &str, type_name: &str) -> Option<Room> {
        match type_name {
            "integer" => id.parse().ok().map(Room::Integer),
            "string" => Some(Room::Text(id.to_owned())),
            _ => None,
        }
    }
}

/// The id alone, as the API's `RoomId` takes it for both types.
impl fmt::Display for Room {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Room::Integer(id) => write!(formatter, "{id}"),
            Room::Text(id) => formatter.write_str(id),
        }
    }
}

/// Largest integer room, as the vendor's client SDKs document it.
pub const ROOM_INTEGER_MAX: u32 = u32::MAX - 1;

/// Longest string room, in bytes.
pub const ROOM_BYTES_MAX: usize = 64;

/// Signs that the vendor's client SDKs take in a string room, beside letters and digits of ASCII and the space (TRTC.md section 10,
/// number 2).
pub const ROOM_SIGNS: &str = "!#$%&()+-:;<=.>?@[]^_{}|~,";

/// The first character of a string room that the vendor's client SDKs do not take.
pub fn outside_alphabet(room: &str) -> Option<char> {
    let is_known = |letter: char| letter.is_ascii_alphanumeric() || letter == ' ' || ROOM_SIGNS.contains(letter);
    room.chars().find(|letter| !is_known(*letter))
}

/// Longest `UserId`, in bytes (comment in every tls-sig-api-v2 repository).
pub const USER_ID_BYTES_MAX: usize = 32;

/// Whether `id` is a `UserId` that every Tencent SDK reads alike: 1 to 32 of `[A-Za-z0-9_-]`.
pub fn is_user_id(id: &str) -> bool {
    (1..=USER_ID_BYTES_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Regions that the mainland or the international documentation lists for Start, Stop and Describe alike (TRTC.md section 5;
/// the mainland page of Describe was not found and is taken to list what its siblings do). A task started elsewhere may be
/// one that cannot be stopped.
pub const REGIONS_OF_ALL_ACTIONS: [&str; 8] =
    ["ap-bangkok", "ap-beijing", "ap-chongqing", "ap-guangzhou", "ap-jakarta", "ap-mumbai", "ap-shanghai", "ap-singapore"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_read_as_tables_show_it() {
        assert_eq!(Room::parse("42"), Ok(Room::Integer(42)));
        for (shown, id) in [("lobby", "lobby"), ("\"42\"", "42"), ("\"", "\""), ("4 2", "4 2")] {
            assert_eq!(Room::parse(shown), Ok(Room::Text(id.to_owned())));
        }
        for shown in ["", "\"\"", "0", "4294967295", "a\u{7}"] {
            assert!(Room::parse(shown).is_err(), "{shown}");
        }
    }

    #[test]
    fn ranges_of_rooms_and_robots() {
        assert_eq!(Room::integer(4_294_967_294), Ok(Room::Integer(u32::MAX - 1)));
        assert!(Room::integer(0).is_err() && Room::integer(4_294_967_295).is_err());
        assert!(Room::text(&"x".repeat(64)).is_ok() && Room::text(&"x".repeat(65)).is_err() && Room::text("").is_err());
        assert!(is_user_id("robot_1-A") && !is_user_id("") && !is_user_id("a b") && !is_user_id(&"x".repeat(33)));
    }

    #[test]
    fn a_room_comes_back_from_its_parts() {
        for room in [Room::Integer(42), Room::Text("42".to_owned())] {
            assert_eq!(Room::from_parts(&room.to_string(), room.type_name()), Some(room));
        }
    }
}
