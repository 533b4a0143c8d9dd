"""Reads what `ingestd plan --format ics` prints with somebody else's reader, and compares it with `--format json`.

    python3 -m venv target/oracles && target/oracles/bin/pip install -r tests/oracles/requirements.txt
    cargo build && target/oracles/bin/python tests/oracles/ics.py 200

Random jobs, with notes of every kind of character, are written into a schedule file; each occurrence of a week must come back from
the calendar as it stands in the JSON. Exit 1 on the first difference.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta

try:
    from icalendar import Calendar
except ImportError as missing:
    sys.exit(f"{missing}: see the head of this file for what to install")

LETTERS = list("abc,;:\\\"'\n\t =") + ["播", "é", "🎬", "BEGIN:VEVENT\n", "\\n", "\\,"]


def job(number, dice):
    fields = {
        "room": dice.choice([f"r{number}", number + 1, {"id": str(number + 1), "type": "string"}]),
        "stream": dice.choice(["https://u:p@cdn.example.com/a,b;c.mp4?k=v", "rtmp://live.example.com/app/key"]),
        "at": f"{dice.randrange(24):02}:{dice.randrange(60):02}:{dice.randrange(60):02}",
    }
    end = dice.randrange(5)
    if end == 0:
        fields["for"] = f"{dice.randrange(1, 10000)}s"
    elif end == 1:
        fields["to"] = f"{dice.randrange(24):02}:{dice.randrange(60):02}:59"
    elif end == 2 and fields["stream"].startswith("http"):
        fields |= {"length": f"{dice.randrange(2, 90)}s", "tempo": dice.choice([1.5, 1.25, 2.0])}
    if dice.random() < 0.8:
        fields["note"] = "n" + "".join(dice.choices(LETTERS, k=dice.randrange(60)))
    return fields


def plan(program, folder, form):
    arguments = ["--config", folder / "ingestd.yaml", "plan", "--from", "2026-03-02", "--to", "2026-03-09", "--format", form]
    ran = subprocess.run([program, *arguments], capture_output=True)
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def compare(program, seed):
    dice = random.Random(seed)
    jobs = {f"j{number}": job(number, dice) for number in range(dice.randrange(1, 8))}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "schedules").mkdir()
        settings = {"account": {"region": "ap-singapore"}, "listen": "none"}
        settings["apps"] = {"main": {"sdk_app_id": 1400000001, "secret_key": {"env": "KEY"}}}
        (folder / "ingestd.yaml").write_text(json.dumps(settings))
        text = json.dumps({"timezone": "Asia/Shanghai", "jobs": jobs})
        (folder / "schedules" / "a.yaml").write_text(text)
        rows = [json.loads(row) for row in plan(program, folder, "json").splitlines()]
        raw = plan(program, folder, "ics")
    assert all(len(line) <= 75 for line in raw.split(b"\r\n")), "a line is too long"
    events = Calendar.from_ical(raw).walk("VEVENT")
    assert not [event.errors for event in events if event.errors], "the reader found errors"
    assert len(events) == len(rows), f"{len(events)} events for {len(rows)} rows"
    assert len({event["UID"] for event in events}) == len(rows), "two events of one name"
    for event, row in zip(events, rows):
        start = instant(row["start"])
        assert event["UID"] == f"{row['job']}/{start:%Y%m%dT%H%M%SZ}@ingestd", event["UID"]
        assert event.decoded("DTSTART") == start, (event.decoded("DTSTART"), start)
        if row["end"] is None:
            assert "DTEND" not in event and event["X-INGESTD-END"] in ("OPEN", "NEVER")
        else:
            end = instant(row["end"])
            whole = end if end.microsecond == 0 else end.replace(microsecond=0) + timedelta(seconds=1)
            assert event.decoded("DTEND") == whole, (event.decoded("DTEND"), end)
        room = f'"{row["room"]}"' if row["room_type"] == "string" and row["room"].isdigit() else row["room"]
        assert event["SUMMARY"] == f"{row['job']} (main/{room})", event["SUMMARY"]
        note = jobs[row["job"]].get("note")
        expected = row["stream"] if note is None else f"{note.rstrip()}\n{row['stream']}"
        assert event["DESCRIPTION"] == expected, (event["DESCRIPTION"], expected)
    return len(rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--program", type=pathlib.Path, default=pathlib.Path("target/debug/ingestd"))
    options = parser.parse_args()
    events = 0
    for seed in range(options.seed, options.seed + options.cases):
        try:
            events += compare(options.program.resolve(), seed)
        except AssertionError as difference:
            sys.exit(f"seed {seed}: {difference}")
    print(f"{events} events of {options.cases} calendars came back as they were planned")


if __name__ == "__main__":
    main()
