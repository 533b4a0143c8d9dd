//! `page` of the settings: when the station's day begins, and in which zone the page shows times. It does not know the page.

use jiff::civil::Time;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::keys;
use super::settings_reader::SettingsReader;
use crate::schedule::zone_named;
use crate::yaml::Node;

/// What the page goes by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PageSettings {
    /// When its day begins.
    pub day: Time,
    /// The zone of that, and of the times that it shows; `None`: that of most jobs.
    pub zone: Option<TimeZone>,
}

/// Reads `page`.
pub(super) fn page(reader: &mut SettingsReader<'_>, node: &Node<'_>) -> Option<PageSettings> {
    let fields = reader.fields(node, "`page`", &keys::PAGE, &[])?;
    let day = match fields.get("day") {
        Some(node) => day(reader, node),
        None => Some(Time::midnight()),
    };
    let zone = match fields.get("timezone") {
        Some(node) => zone(reader, node).map(Some),
        None => Some(None),
    };
    Some(PageSettings { day: day?, zone: zone? })
}

fn day(reader: &mut SettingsReader<'_>, node: &Node<'_>) -> Option<Time> {
    let text = reader.text(node, "day", "a time of day such as `05:00`")?;
    let is_form = text.len() == 5 && text.as_bytes()[2] == b':';
    let time = is_form.then(|| Time::strptime("%H:%M", text).ok()).flatten();
    if time.is_none() {
        reader.error(node.span, "bad-value", "`day`: expected a time of day in quotes").hint("for example `day: \"05:00\"`");
    }
    time
}

fn zone(reader: &mut SettingsReader<'_>, node: &Node<'_>) -> Option<TimeZone> {
    let name = reader.text(node, "timezone", "the name of a time zone")?;
    match zone_named(&TimeZoneDatabase::bundled(), name) {
        Ok(zone) => Some(zone),
        Err(_) => {
            reader
                .error(node.span, "unknown-zone", "`timezone`: expected the name of a time zone")
                .hint("for example `Asia/Shanghai`, or `UTC`");
            None
        }
    }
}
