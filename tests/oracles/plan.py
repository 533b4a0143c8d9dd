"""Compares `ingestd plan` with other people's calendars: `cron` with cronsim, `at` and `to` with Python's zoneinfo, and `weeks`
with dateutil's rrule.

    python3 -m venv target/oracles && target/oracles/bin/pip install -r tests/oracles/requirements.txt
    cargo build && target/oracles/bin/python tests/oracles/plan.py 20000

Random jobs in zones with odd clock changes, most of them around such a change, are written into schedule files, and every start
(and end, and mark of a clock change) that the real program plans is compared. Both sides use the zone data of the PyPI package.

Exit 1 on any disagreement that is not of a kind listed in `KINDS`. Where cronsim is known to differ from Debian cron, a third
calendar decides that looks at every minute by Debian's rules and shares nothing with the other two.
"""

import sys
import argparse
import collections
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import zoneinfo
from datetime import date, datetime, time, timedelta, timezone

try:
    import tzdata
    from cronsim import CronSim, CronSimError
    from dateutil import rrule
except ImportError as missing:
    sys.exit(f"{missing}: see the head of this file for what to install")

UTC = timezone.utc
MINUTE, SECOND, DAY = timedelta(minutes=1), timedelta(seconds=1), timedelta(days=1)

# Zones, and years of which each clock change is a place to look.
ZONES = {
    "America/New_York": (2024, 2027),
    "Europe/London": (2024, 2027),
    "Europe/Dublin": (2024, 2027),
    "Australia/Lord_Howe": (2024, 2027),
    "America/Sao_Paulo": (2016, 2018),
    "Pacific/Apia": (2011, 2011),
    "Africa/Casablanca": (2024, 2027),
    "Antarctica/Troll": (2024, 2027),
    "America/Scoresbysund": (2023, 2027),
    "America/St_Johns": (2008, 2010),
    "America/Havana": (2022, 2024),
    "Asia/Beirut": (2024, 2027),
    "Africa/Cairo": (2024, 2027),
    "Asia/Tehran": (2019, 2022),
    "Asia/Shanghai": (2026, 2026),
    "Asia/Kolkata": (2026, 2026),
}

# Where cronsim is known to differ from Debian cron, or we on purpose from cronsim.
KINDS = {
    "a-a/n": "cronsim reads a range of one value with a step, `20-20/7`, as `20/7`; Debian as `20`",
    "part of an hour": "cronsim steps over, or goes round in, local hours and days that exist only in part",
    "six fields": "cronsim gives expressions with seconds no care at clock changes; we give all of a fixed time the same",
}


# What cronsim may take for one case, in seconds of this process. Honest cases take a tenth of it.
CRONSIM_SECONDS = 5


# The cases.


def changes(zone, years):
    """The instants at which a zone changes its offset."""
    found, at = [], datetime(years[0], 1, 1, tzinfo=UTC)
    offset = at.astimezone(zone).utcoffset()
    while at.year <= years[1]:
        next_at = at + timedelta(hours=6)
        next_offset = next_at.astimezone(zone).utcoffset()
        if next_offset != offset:
            low, high = at, next_at
            while high - low > SECOND:
                middle = low + (high - low) // 2
                middle = middle.replace(microsecond=0)
                low, high = (low, middle) if middle.astimezone(zone).utcoffset() != offset else (middle, high)
            found.append(high)
        at, offset = next_at, next_offset
    return found


def field(chance, low, high, names=()):
    """A random cron field that is not only a star."""
    def value():
        at = chance.randint(low, high)
        return names[at - low] if names and at - low < len(names) and chance.random() < 0.3 else str(at)

    first, last = sorted((chance.randint(low, high), chance.randint(low, high)))
    step = chance.randint(1, max(2, (high - low) // 2))
    return chance.choice([
        lambda: value(),
        lambda: ",".join(sorted({value() for _ in range(chance.randint(2, 4))})),
        lambda: f"{first}-{last}",
        lambda: f"{first}-{last}/{step}",
        lambda: f"*/{step}",
        lambda: f"*/{step},{value()}",
    ])()


MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
WEEKDAYS = "SUN MON TUE WED THU FRI SAT".split()


def expression(chance):
    """A random cron expression that cronsim can read."""
    roll = chance.random
    near = roll() < 0.5
    while True:
        minute = "*" if roll() < 0.1 else field(chance, 0, 59)
        hour = "*" if roll() < 0.2 else field(chance, 0, 4) if near else field(chance, 0, 23)
        seconds = [chance.choice(["0", "30", "15,45", "*/20"])] if roll() < 0.08 else []
        if near:
            # Every day, at the hours in which clocks change.
            return " ".join([*seconds, minute, hour, "* * *"])
        day = "*" if roll() < 0.6 else chance.choice(["L", "LW", "1,L"]) if roll() < 0.2 else field(chance, 1, 31)
        month = "*" if roll() < 0.7 else field(chance, 1, 12, MONTHS)
        special = [f"{chance.randint(0, 7)}L", f"{chance.randint(0, 7)}#{chance.randint(1, 5)}", "MON-FRI", "7", "0-7/2"]
        weekday = "*" if roll() < 0.6 else chance.choice(special) if roll() < 0.4 else field(chance, 0, 7, WEEKDAYS)
        text = " ".join([*seconds, minute, hour, day, month, weekday])
        try:
            # One that never comes is refused by both: by cronsim after a search of fifty years.
            next(CronSim(text, datetime(2026, 1, 1)))
            return text
        except (CronSimError, StopIteration):
            pass


def starts_a_day(text):
    """Roughly, to keep a case short."""
    *seconds, minute, hour, _, _, _ = text.split()
    sizes = [len(values(part, low, high)) for part, low, high in
             [*((s, 0, 59) for s in seconds), (minute, 0, 59), (hour, 0, 23)]]
    product = 1
    for size in sizes:
        product *= size
    return product


Case = collections.namedtuple("Case", "name kind zone text to begin end weeks")

DAYS = "mon tue wed thu fri sat sun".split()


def case(chance, number, places):
    """One random job and the local range in which it may start."""
    zone, at = chance.choice(places)
    local = at.astimezone(zoneinfo.ZoneInfo(zone)).replace(tzinfo=None)
    begin = datetime.combine(local.date() - chance.choice([0, 1, 2, 3]) * DAY, time(12))
    if chance.random() < 0.7:
        kind, text = "cron", expression(chance)
        rare = starts_a_day(text) <= 8
        to = random_time(chance) if chance.random() < 0.2 else None
    else:
        kind, rare = "at", chance.random() < 0.2
        text = " ".join(sorted({random_time(chance) for _ in range(chance.randint(1, 4))}))
        to = random_time(chance)
    weeks = None
    if kind == "at" and chance.random() < 0.4:
        weeks = (chance.randint(1, 6), sorted(chance.sample(range(7), chance.randint(1, 7))))
        rare = True
    length = chance.randint(30, 400) if rare else 6 if kind == "at" or starts_a_day(text) <= 200 else 3
    return Case(f"j{number}", kind, zone, text, to, begin, begin + length * DAY, weeks)


def random_time(chance):
    hour = chance.choice([0, 1, 2, 3, 23, chance.randint(0, 23)])
    minute = chance.choice([0, 15, 30, 45, chance.randint(0, 59)])
    return f"{hour:02}:{minute:02}"


# What they should start.


def instant(local, zone):
    """A written time by RFC 5545. Python's fold=0 is that rule: the offset before the change, in a gap and in a repeat."""
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def mark(local, zone):
    before, after = (local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return None if before == after else "gap" if before < after else "repeat"


def end_after(at, written, to, zone):
    """The end by `to` of a start, and its mark."""
    end = datetime.combine(written.date(), time.fromisoformat(to))
    if end <= written:
        end += DAY
    ends = instant(end, zone)
    return (ends if ends > at else at + (end - written)), mark(end, zone)


def expected_at(case, zone):
    """(start, end, mark) of `at` with `to`."""
    found = {}
    on = case.begin.date() - 3 * DAY
    dates = dates_by_rrule(case)
    while on <= case.end.date() + DAY:
        for text in case.text.split() if dates is None or on in dates else []:
            written = datetime.combine(on, time.fromisoformat(text))
            at = instant(written, zone)
            moved = mark(written, zone)
            # Of two at one instant the one that was not moved says when it ends; the mark stays.
            if at not in found or found[at][1] == "gap":
                found[at] = (written, moved, moved or (found[at][1] if at in found else None))
            elif moved == "gap":
                found[at] = (*found[at][:2], "gap")
        on += DAY
    rows = []
    for at, (written, _, moved) in sorted(found.items()):
        if instant(case.begin, zone) <= at < instant(case.end, zone):
            end, end_mark = end_after(at, written, case.to, zone)
            rows.append((at, end, moved or end_mark))
    return rows


def dates_by_rrule(case):
    """The dates of `weeks` and `days`: every n-th week from that of the first date. None: every date."""
    if not case.weeks:
        return None
    step, days = case.weeks
    # Whole weeks from the first on: what lies before it in its own week is kept out by `from`.
    first = datetime.combine(case.begin.date() - case.begin.weekday() * DAY, time())
    last = datetime.combine(case.end.date() + 7 * DAY, time())
    rule = rrule.rrule(rrule.WEEKLY, dtstart=first, until=last, interval=step, wkst=rrule.MO, byweekday=days)
    return {at.date() for at in rule}


class Endless(Exception):
    """cronsim does not come back."""


def give_up(*_):
    raise Endless


def by_cronsim(case, zone):
    """The starts of `cron`, by cronsim. Where midnight does not exist it can go round for ever, inside one step too."""
    signal.setitimer(signal.ITIMER_VIRTUAL, CRONSIM_SECONDS)
    try:
        return steps_of_cronsim(case, zone)
    except Endless:
        return []
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def steps_of_cronsim(case, zone):
    begin, end, found, previous = instant(case.begin, zone), instant(case.end, zone), [], None
    for at in CronSim(case.text, case.begin.replace(tzinfo=zone) - SECOND):
        at = at.astimezone(UTC)
        if at >= end or (previous and at <= previous):
            # It went back in time, and never comes out again.
            break
        if at >= begin:
            found.append(at)
        previous = at
    return found


# The third calendar: Debian's rules, minute by minute.


def values(text, low, high, names=()):
    """The plain values of a field."""
    found = set()
    def number(word):
        return names.index(word) + low if word in names else int(word)

    for item in text.split(","):
        span, _, step = item.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            first, last = low, high
        elif span[-1:] in "LW" or "#" in span:
            continue
        else:
            first = number(first)
            last = number(last) if dash else first
        found.update(range(first, last + 1, int(step or 1)))
    return found


def day_of_month_matches(text, on):
    last = (on.replace(day=28) + 4 * DAY).replace(day=1) - DAY
    last_workday = last
    while last_workday.weekday() > 4:
        last_workday -= DAY
    items = text.split(",")
    return on.day in values(text, 1, 31) or ("L" in items and on == last) or ("LW" in items and on == last_workday)


def weekday_matches(text, on):
    weekday = on.isoweekday() % 7
    if weekday in {value % 7 for value in values(text, 0, 7, WEEKDAYS)}:
        return True
    for item in text.split(","):
        if item.endswith("L") and int(item[:-1]) % 7 == weekday and (on + 7 * DAY).month != on.month:
            return True
        name, hash_, nth = item.partition("#")
        if hash_ and int(name) % 7 == weekday and (on.day - 1) // 7 + 1 == int(nth):
            return True
    return False


def by_looking(case, zone):
    """The starts of `cron`, by looking at every minute."""
    fields = case.text.split()
    seconds, minute, hour, day, month, weekday = fields if len(fields) == 6 else ["0", *fields]
    seconds, minutes, hours = values(seconds, 0, 59), values(minute, 0, 59), values(hour, 0, 23)
    months = values(month, 1, 12, MONTHS)
    known = {}

    def day_matches(on):
        if on not in known:
            both = (day_of_month_matches(day, on), weekday_matches(weekday, on))
            either = not (day.startswith("*") or weekday.startswith("*"))
            known[on] = on.month in months and (any(both) if either else all(both))
        return known[on]

    def matches(local):
        return local.minute in minutes and local.hour in hours and day_matches(local.date())

    begin, end, found = instant(case.begin, zone), instant(case.end, zone), set()
    if minute.startswith("*") or hour.startswith("*"):
        # Every offset here is whole minutes, so that the seconds are those of UTC.
        at = begin
        while at < end:
            if matches(at.astimezone(zone)):
                found.update(at.replace(second=second) for second in seconds)
            at += MINUTE
        return sorted(found)
    local = case.begin - 2 * DAY
    while local < case.end + 2 * DAY:
        if matches(local):
            exists = local
            while mark(exists, zone) == "gap":
                exists += MINUTE
            moved = {0} if exists != local else seconds
            found.update(instant(exists.replace(second=second), zone) for second in moved)
        local += MINUTE
    return sorted(at for at in found if begin <= at < end)


def kind_of(case, zone):
    """The kind of disagreement with cronsim that a case may have, if any."""
    fields = case.text.split()
    if re.search(r"(?:^|[ ,])(\w+)-\1/", case.text):
        return "a-a/n"
    minute, hour = fields[-5:-3]
    fixed = not minute.startswith("*") and not hour.startswith("*")
    begin, end = (instant(local, zone) for local in (case.begin, case.end))
    changed, at = False, begin
    while at <= end and not changed:
        changed = at.astimezone(zone).utcoffset() != (at + DAY).astimezone(zone).utcoffset()
        at += DAY
    if not changed:
        return None
    if fixed:
        return "six fields" if len(fields) == 6 else None
    return "part of an hour"


# The comparison.


def job_text(case):
    trigger = f'cron: "{case.text}"' if case.kind == "cron" else f"at: {json.dumps(case.text.split())}"
    if case.weeks:
        trigger += f", weeks: {case.weeks[0]}, days: {json.dumps([DAYS[day] for day in case.weeks[1]])}"
    end = f'to: "{case.to}"' if case.to else "for: 1s"
    return (f'  {case.name}: {{{trigger}, timezone: {case.zone}, from: "{case.begin:%Y-%m-%d %H:%M}", '
            f'until: "{case.end:%Y-%m-%d %H:%M}", room: {case.name}, stream: "https://cdn.example.com/a.mp4", {end}}}\n')


def zone_folder(folder):
    """The package's zone data under a version that the program must prefer to its own."""
    shutil.copytree(pathlib.Path(tzdata.__file__).parent / "zoneinfo", folder)
    (folder / "tzdata.zi").write_text("# version 9999z\n")


def planned(program, cases, folder):
    """What the program plans, by job: (start, end, mark)."""
    schedules, zones = folder / "schedules", folder / "zones"
    schedules.mkdir()
    zone_folder(zones)
    (folder / "ingestd.yaml").write_text(
        "account: {region: ap-singapore}\nlisten: none\n"
        "apps: {main: {sdk_app_id: 1400000001, secret_key: {env: KEY}}}\n")
    for number in range(0, len(cases), 500):
        text = "jobs:\n" + "".join(map(job_text, cases[number:number + 500]))
        (schedules / f"{number}.yaml").write_text(text)
    command = [program, "plan", "--config", folder / "ingestd.yaml", "--format", "json",
               "--from", "2000-01-01T00:00:00Z", "--to", "2040-01-01T00:00:00Z"]
    run = subprocess.run(command, env={**os.environ, "TZDIR": str(zones)}, capture_output=True, text=True)
    if run.returncode != 0:
        errors = "\n".join(re.findall(r"error.*(?:\n.*){4}", run.stderr)[:10])
        sys.exit(f"`{program} plan` ended with {run.returncode}\n{errors}")
    rows = collections.defaultdict(list)
    for line in run.stdout.splitlines():
        row = json.loads(line)
        rows[row["job"]].append((datetime.fromisoformat(row["start"]), datetime.fromisoformat(row["end"]), row["dst"]))
    return rows


def difference(ours, theirs):
    for our, their in zip(ours, theirs):
        if our != their:
            return our, their
    if len(ours) != len(theirs):
        longer = max(ours, theirs, key=len)[min(len(ours), len(theirs))]
        return (longer, None) if len(ours) > len(theirs) else (None, longer)
    return None


def judge(case, rows):
    """What is wrong with the rows of a case: nothing, the name of a listed kind, or a description."""
    zone = zoneinfo.ZoneInfo(case.zone)
    if case.kind == "at":
        differs = difference(rows, expected_at(case, zone))
        return differs and f"here {differs[0]}, by zoneinfo {differs[1]}"
    starts = [row[0] for row in rows]
    if case.to:
        for at, end, _ in rows:
            expected = end_after(at, at.astimezone(zone).replace(tzinfo=None, fold=0), case.to, zone)[0]
            if end != expected:
                return f"the start at {at} ends here at {end}, by zoneinfo at {expected}"
    differs = difference(starts, by_cronsim(case, zone))
    if not differs:
        return None
    kind = kind_of(case, zone)
    message = f"here {differs[0]}, by cronsim {differs[1]}"
    if not kind:
        return message
    differs = difference(starts, by_looking(case, zone))
    return f"{message}; by looking at every minute {differs[1]}, not {differs[0]}" if differs else kind


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("count", type=int, nargs="?", default=2000)
    arguments.add_argument("--seed", type=int, default=random.randrange(2**32))
    arguments.add_argument("--program", default="target/debug/ingestd")
    given = arguments.parse_args()
    zoneinfo.reset_tzpath(to=[])
    signal.signal(signal.SIGVTALRM, give_up)
    chance = random.Random(given.seed)
    print(f"seed {given.seed}, zone data {tzdata.IANA_VERSION}", flush=True)
    places = [(name, at) for name, years in ZONES.items()
              for at in changes(zoneinfo.ZoneInfo(name), years) or [datetime(years[0], 6, 1, tzinfo=UTC)]]
    tally, compared, faults = collections.Counter(), 0, 0
    for first in range(0, given.count, 2000):
        cases = [case(chance, number, places) for number in range(first, min(first + 2000, given.count))]
        with tempfile.TemporaryDirectory() as folder:
            rows = planned(given.program, cases, pathlib.Path(folder))
        for one in cases:
            verdict = judge(one, rows[one.name])
            compared += len(rows[one.name])
            tally[one.kind, "cases"] += 1
            tally["weeks", "cases"] += bool(one.weeks)
            if verdict in KINDS:
                tally["kind", verdict] += 1
            elif verdict:
                faults += 1
                print(f"fault: {one.zone} `{one.text}` to {one.to}, weeks {one.weeks}, {one.begin} to {one.end}: {verdict}", flush=True)
    print(f"{tally['cron', 'cases']} cron and {tally['at', 'cases']} at cases ({tally['weeks', 'cases']} with weeks), {compared} starts, {faults} faults")
    for kind, why in KINDS.items():
        print(f"  {tally['kind', kind]} of `{kind}`: {why}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
