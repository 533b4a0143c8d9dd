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
    let fields = reader.fields(node, "`page`", &keys::PAGE)?;
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
    let zone = zone_named(&TimeZoneDatabase::bundled(), name).ok();
    if zone.is_none() {
        reader
            .error(node.span, "unknown-zone", "`timezone`: expected the name of a time zone")
            .hint("for example `Asia/Shanghai`, or `UTC`");
    }
    zone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read;
    use crate::schedule::Source;
    use std::path::Path;

    fn reading(page: &str) -> crate::config::Reading {
        let text = format!(
            "account: {{region: ap-singapore}}\napps: {{main: {{sdk_app_id: 1, secret_key: {{env: KEY}}}}}}\npage: {page}\n"
        );
        read(&Source { name: "ingestd.yaml".into(), text }, Path::new("/etc/ingestd"))
    }

    #[test]
    fn the_day_begins_at_a_time_in_a_zone_and_by_default_at_midnight() {
        let page = |text| reading(text).settings.map(|settings| settings.page);
        let zone = |name| TimeZoneDatabase::bundled().get(name).ok();
        let five = Time::constant(5, 0, 0, 0);
        assert_eq!(page("{}"), Some(PageSettings::default()));
        let both = PageSettings { day: five, zone: zone("Asia/Shanghai") };
        assert_eq!(page("{day: \"05:00\", timezone: Asia/Shanghai}"), Some(both));
        assert_eq!(page("{day: \"05:00\"}"), Some(PageSettings { day: five, zone: None }));
    }

    #[test]
    fn what_is_no_time_of_day_or_no_zone_is_refused_with_its_place() {
        for page in
            ["{day: \"5\"}", "{day: \"24:00\"}", "{day: \"05:00:30\"}", "{timezone: Mars/Base}", "{hour: \"05:00\"}", "noon"]
        {
            let reading = reading(page);
            assert!(reading.settings.is_none(), "{page}");
            assert_eq!(reading.diagnostics.len(), 1, "{page}: {:?}", reading.diagnostics);
        }
    }
}
