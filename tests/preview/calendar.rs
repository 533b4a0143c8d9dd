//! `plan --format ics`: the plan as a calendar.

use super::{folder, plan, text, yaml};

#[test]
fn each_occurrence_is_an_event() {
    let folder = folder(&[(
        "schedules/a.yaml",
        yaml([
            ("endless", r#"once: "2026-03-02 21:00", to: never, conflict: preempt, repeat: forever"#),
            ("film", r#"once: "2026-03-02 18:00", length: 10s, tempo: 1.5, note: "one, two; three\nfour \\ five""#),
            (
                "open",
                r#"once: "2026-03-02 20:00", room: {id: "42", type: string}, stream: "rtmp://live.example.com/app/hush?x=hush""#,
            ),
            ("news", r#"once: "2026-03-02 19:00", for: 1h, note: "晚间新闻晚间新闻晚间新闻晚间新闻晚间新闻晚间新闻""#),
        ]),
    )]);
    let range = ["--from", "2026-03-02", "--count", "4", "--format", "ics"];
    let output = plan(&folder, &range);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let (mut stamps, mut lines) = (Vec::new(), Vec::new());
    for line in text(&output.stdout).split("\r\n") {
        assert!(line.len() <= 75 && !line.contains(['\r', '\n']), "{line}");
        if let Some(stamp) = line.strip_prefix("DTSTAMP:") { stamps.push(stamp) } else { lines.push(line) }
    }
    let expected = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//ingestd//plan//EN",
        "CALSCALE:GREGORIAN",
        "BEGIN:VEVENT",
        "UID:film/20260302T100000Z@ingestd",
        "DTSTART:20260302T100000Z",
        // 6.667 s of media.
        "DTEND:20260302T100007Z",
        "SUMMARY:film (main/film)",
        "DESCRIPTION:one\\, two\\; three\\nfour \\\\ five\\nhttps://cdn.example.com/a.mp4",
        "END:VEVENT",
        "BEGIN:VEVENT",
        "UID:news/20260302T110000Z@ingestd",
        "DTSTART:20260302T110000Z",
        "DTEND:20260302T120000Z",
        "SUMMARY:news (main/news)",
        "DESCRIPTION:晚间新闻晚间新闻晚间新闻晚间新闻晚间新闻晚",
        " 间新闻\\nhttps://cdn.example.com/a.mp4",
        "END:VEVENT",
        "BEGIN:VEVENT",
        "UID:open/20260302T120000Z@ingestd",
        "DTSTART:20260302T120000Z",
        "X-INGESTD-END:OPEN",
        "SUMMARY:open (main/\"42\")",
        "DESCRIPTION:rtmp://live.example.com/app/",
        "END:VEVENT",
        "BEGIN:VEVENT",
        "UID:endless/20260302T130000Z@ingestd",
        "DTSTART:20260302T130000Z",
        "X-INGESTD-END:NEVER",
        "SUMMARY:endless (main/endless)",
        "DESCRIPTION:https://cdn.example.com/a.mp4",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ];
    assert_eq!(lines, expected);
    assert!(stamps.len() == 4 && stamps.iter().all(|stamp| stamp.len() == 16 && *stamp == stamps[0]), "{stamps:?}");
    let whole = plan(&folder, &[&range[..], &["--reveal"]].concat());
    assert!(text(&whole.stdout).contains("app/hush?x=hush"));
}
