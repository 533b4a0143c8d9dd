"""What must hold of the packaged service, from a fresh root to its removal. Each check leaves the show on air that the next one needs."""

import re

import package
import readme
from machine import Failed, until
from station import SCHEDULE, SETTINGS, USER

COMMANDS_MAX = 10
EXPOSURE_MAX = 1.5
SHOW = "evening-promo"


def run(station):
    version = first_show(station)
    for check in [
        journal_fields, ready_and_status, hardened, reload_good_and_bad, chores_begin, restart, killed, watchdog, reboot, upgrade, credentials,
        operators, daemon_down, boot_errors, stations, chores_done, removal,
    ]:
        check(station)
    station.passed(f"everything, on {version}")


def holds(truth, what):
    if not truth:
        raise Failed(what)


def first_show(station):
    """From a fresh root: the steps of the README, to the letter."""
    machine = station.machine
    station.start_sandbox()
    machine.boot()
    version = machine.run("systemctl --version").out.splitlines()[0]
    print(f"{station.suite}: {version}", flush=True)
    machine.run(f"useradd --create-home {USER}")
    (machine.path("/root") / package.FIRST).write_bytes((station.folder / package.FIRST).read_bytes())
    steps = readme.commands(readme.section(station.readme, readme.STEPS))
    shown_after = None
    for number, command in enumerate(steps, 1):
        station.follow(command)
        if shown_after is None and "ingestd fire" in command.text:
            until("a show is on air", 30, lambda: station.on_air() == [SHOW])
            shown_after = number
    holds(shown_after is not None, "no command of the steps puts a show on air")
    holds(shown_after <= COMMANDS_MAX, f"the first show took {shown_after} commands")
    station.passed(f"README: a show is on air after {shown_after} commands from a fresh root, of {len(steps)} in all")
    return version


def ready_and_status(station):
    holds(station.show("ActiveState") == "active" and station.show("Type") == "notify", "the unit is active")
    # A show on air, and one to come.
    station.machine.run(f"ingestd stop {SHOW}")
    until("the show is off the air", 30, lambda: station.on_air() == [])
    station.machine.run(f"ingestd fire {SHOW} --for 1h")
    until("the show is on air", 30, lambda: station.on_air() == [SHOW])
    text = until("STATUS= names what is on air and what is next", 30, lambda: re.match(
        rf"^(ok|degraded).*on air: {SHOW}.*next: {SHOW} .*1 job, generation", station.show("StatusText")))
    station.passed(f"READY, and STATUS= says `{text.string}`")


def hardened(station):
    out = station.machine.run("systemd-analyze security --no-pager ingestd").out
    level = float(re.search(r"Overall exposure level for ingestd.service: ([0-9.]+)", out).group(1))
    holds(level <= EXPOSURE_MAX, f"systemd-analyze security says {level}")
    pid = station.main_pid()
    limits = station.machine.run(f"cat /proc/{pid}/limits").out
    holds(re.search(r"^Max core file size +0 +0 ", limits, re.M), f"a core file may be written: {limits}")
    complaints = [line for line in station.messages("-b -p warning _PID=1") if "ingestd" in line]
    holds(not complaints, f"systemd complains of the unit: {complaints}")
    station.passed(f"systemd-analyze security says {level}, and systemd has nothing to say of the unit")


def reload_good_and_bad(station):
    machine, pid = station.machine, station.main_pid()
    place = machine.path(SCHEDULE)
    good = place.read_text()
    place.write_text(good + "\n  late-promo: {at: \"23:00\", for: 1m, room: foyer, stream: https://cdn.example.com/promo.mp4, timezone: Asia/Shanghai}\n")
    machine.run("systemctl reload ingestd", seconds=90)
    holds(station.status()["schedule"]["jobs"] == 2, "the schedule is in force after a reload")
    place.write_text(good + "\n  broken: {at: \"25:00\", room: foyer}\n")
    result = machine.run("systemctl reload ingestd", check=False, seconds=90)
    holds(result.code != 0, "a reload of a bad schedule fails")
    holds(station.main_pid() == pid and station.show("NRestarts") == "0", "the daemon stays up")
    holds(station.status()["schedule"]["jobs"] == 2, "the last good schedule stays in force")
    told = [entry for entry in station.journal("-b -u ingestd") if "25:00" in entry["MESSAGE"]]
    holds(len(told) == 1, f"the reason stands in the journal once, found {[entry['MESSAGE'] for entry in told]}")
    holds(told[0]["PRIORITY"] == "3" and "\n" not in told[0]["MESSAGE"], f"as one line of an error: {told[0]}")
    place.write_text(good)
    machine.run("systemctl reload ingestd", seconds=90)
    holds(station.on_air() == [SHOW], "the show stays on air over reloads")
    station.passed("reload: a good schedule succeeds, a bad one fails the job with its reason once, the daemon and the show stay")


def journal_fields(station):
    warnings = station.journal(f"JOB={SHOW} -p warning")
    holds(len(warnings) == 1 and warnings[0].get("CODE") == "ResourceInsufficient.RequestRejection", f"JOB=, CODE= and -p: {warnings}")
    holds(re.match(r"\d{4}-\d\d-\d\dT", warnings[0].get("START", "")), f"START=: {warnings[0]}")
    station.machine.run(f"ingestd stop {SHOW}")
    ended = until("OUTCOME=", 30, lambda: station.journal(f"JOB={SHOW} OUTCOME=cut"))
    holds(len(ended) == 1 and ended[0].get("REASON") == "operator" and ended[0].get("_SYSTEMD_UNIT") == "ingestd.service", f"{ended}")
    station.machine.run(f"ingestd fire {SHOW} --for 1h")
    until("the show is on air again", 30, lambda: station.on_air() == [SHOW])
    lines = [(entry["MESSAGE"], entry["PRIORITY"], entry.get("START")) for entry in station.journal("-b -u ingestd _PID=%d" % station.main_pid())]
    doubled = {line for line in lines if lines.count(line) > 1}
    holds(not doubled, f"a line stands twice in the journal: {doubled}")
    station.passed("journal: JOB=, START=, OUTCOME=, CODE= and the priority answer, each line once")


def chores_begin(station):
    """Each minute, from the next restart on. What comes of it is looked at later."""
    place = station.machine.path(SETTINGS)
    backup, integrity = "{to: /var/lib/ingestd/backups, keep: 1, cron: '* * * * *'}", "{cron: '* * * * *'}"
    place.write_text(place.read_text() + f"\nchores: {{backup: {backup}, integrity: {integrity}}}\n")


def chores_done(station):
    for name in ["backup", "integrity"]:
        until(f"the chore {name}", 90, lambda name=name: any(f"the chore `{name}` is done" in line for line in station.messages("-b -u ingestd")))
    begun = [line for line in station.messages("-b -u ingestd") if re.match("the chore .* begins", line)]
    holds("backup" in begun[0] and "integrity" in begun[1], f"of two that are due at one time the copy is made first: {begun}")
    told = [line for line in station.messages("-b -u ingestd -p warning") if "the chore" in line]
    holds(not told, f"the unit lets chores lower their priority and write their copy: {told}")
    copies = station.machine.run("stat -c '%a %U' /var/lib/ingestd/backups/*.db").out.split()
    holds(copies[0] == "600" and len(copies) == 2, f"there is one copy, for the daemon alone: {copies}")
    station.passed("chores: a backup and a look through the ledger each minute, at a lower priority")


def stays(station, what, act, seconds=60):
    """The show is on air before and after, and nobody starts or stops it."""
    before = (station.requests("start", "lobby"), station.requests("stop", "lobby"))
    pid = station.main_pid()
    act()
    until(f"another daemon after: {what}", seconds, lambda: station.show("ActiveState") == "active" and station.main_pid() not in (0, pid))
    until(f"the show is on air after: {what}", 30, lambda: station.on_air() == [SHOW])
    after = (station.requests("start", "lobby"), station.requests("stop", "lobby"))
    holds(before == after, f"{what}: starts and stops were {before}, and are {after}")
    station.passed(f"{what}: the show stays on air")


def restart(station):
    stays(station, "systemctl restart", lambda: station.machine.run("systemctl restart ingestd"))


def killed(station):
    stays(station, "kill -9", lambda: station.machine.run("systemctl kill --signal=KILL ingestd"))


def watchdog(station):
    # Two minutes are long; what is tested is that the loop feeds it, and that systemd acts.
    machine = station.machine
    machine.run("mkdir -p /run/systemd/system/ingestd.service.d && printf '[Service]\\nWatchdogSec=4\\n' > /run/systemd/system/ingestd.service.d/w.conf")
    machine.run("systemctl daemon-reload && systemctl restart ingestd")
    pid = station.main_pid()
    fed = station.show("WatchdogTimestampMonotonic")
    until("the loop feeds the watchdog", 20, lambda: station.show("WatchdogTimestampMonotonic") != fed)
    holds(station.main_pid() == pid, "a daemon that feeds the watchdog is left alone")
    stays(station, "watchdog after SIGSTOP", lambda: machine.run(f"kill -STOP {pid}"), 90)
    holds(any("atchdog timeout" in line for line in station.messages("-b _PID=1")), "it was the watchdog")
    machine.run("rm -r /run/systemd/system/ingestd.service.d && systemctl daemon-reload && systemctl restart ingestd")
    until("the show is on air", 30, lambda: station.on_air() == [SHOW])


def reboot(station):
    before = (station.requests("start", "lobby"), station.requests("stop", "lobby"))
    station.machine.reboot()
    until("the show is on air after a reboot", 60, lambda: station.on_air() == [SHOW])
    after = (station.requests("start", "lobby"), station.requests("stop", "lobby"))
    holds(before == after, f"reboot: starts and stops were {before}, and are {after}")
    station.passed("reboot: the daemon comes up by itself, and the show stays on air")


def upgrade(station):
    (station.machine.path("/root") / package.SECOND).write_bytes((station.folder / package.SECOND).read_bytes())
    settings = station.machine.path(SETTINGS).read_text()
    install = f"DEBIAN_FRONTEND=noninteractive apt-get install -y ./{package.SECOND}"
    stays(station, "upgrade of the package", lambda: station.machine.run(install, seconds=120))
    holds(station.machine.run("dpkg-query -W -f '${Version}' ingestd").out == "0.1.0-2", "the other version is there")
    holds(station.machine.path(SETTINGS).read_text() == settings, "the settings are a conffile, and stay")


def credentials(station):
    machine = station.machine
    key = station.secrets()[1]
    for path in ["/etc/ingestd/credentials/tencentcloud-secret-key", "/run/credentials/ingestd.service/tencentcloud-secret-key", "/var/lib/ingestd/ingestd.db"]:
        holds(machine.run(f"test -s {path}", check=False).code == 0, f"`{path}` is there for root")
        holds(machine.run(f"cat {path}", user=USER, check=False).code != 0, f"`{path}` is readable to others")
        other = f"systemd-run --quiet --pipe --wait -p DynamicUser=yes -p SupplementaryGroups=ingestd-operators cat {path}"
        holds(machine.run(other, check=False).code != 0, f"`{path}` is readable to another service")
    pid = station.main_pid()
    seen = machine.run(f"cat /proc/{pid}/cmdline /proc/{pid}/environ | tr '\\0' '\\n'").out
    holds(key not in seen, "the key is an argument or in the environment")
    holds(not any(key in line for line in station.messages("-b")), "the key is in the journal")
    station.passed("credentials: other users and other services cannot read them, and no argument, variable or line has them")


def operators(station):
    machine = station.machine
    refused = machine.run(f"ingestd stop {SHOW}", user=USER, check=False)
    holds(refused.code == 69 and "ingestd-operators" in refused.err, f"who is not in the group is refused, and told of it: {refused}")
    holds(station.on_air() == [SHOW], "the show is on air all the same")
    machine.run(f"usermod --append --groups ingestd-operators {USER}")
    machine.run(f"ingestd stop {SHOW} --note tested", user=USER)
    until("the show is off the air", 30, lambda: station.on_air() == [])
    machine.run(f"ingestd fire {SHOW} --for 1h", user=USER)
    until("the show is on air", 30, lambda: station.on_air() == [SHOW])
    history = machine.run("ingestd history --limit 5", user=USER).out
    holds(SHOW in history, f"an operator reads the ledger through the daemon: {history}")
    machine.run("ingestd reload", user=USER)
    orders = station.messages("-b -u ingestd")
    holds(any(USER in line for line in orders), "the journal says who gave an order")
    station.passed("operators: the group gives orders and reads the ledger without root, nobody else does")


def daemon_down(station):
    machine = station.machine
    machine.run("systemctl stop ingestd")
    key = "/etc/ingestd/credentials/trtc-app-main"
    machine.run(f"mv {key} {key}.away")
    holds("trtc-app-main" in machine.run("ingestd check").out, "`check` names a credential whose file is missing")
    machine.run(f"mv {key}.away {key}")
    holds(SHOW in machine.run("ingestd history").out, "root reads the ledger of a daemon that is down")
    status = machine.run("ingestd status", check=False)
    holds(status.code == 69 and SHOW in status.out, f"the status comes from the ledger: {status}")
    machine.run("systemctl start ingestd")
    until("the show is on air", 30, lambda: station.on_air() == [SHOW])
    holds(station.status()["health"] in ("ok", "degraded"), "what root read disturbs nothing")
    station.passed("ledger: root reads it while the daemon is down, and the daemon takes it up again")


def boot_errors(station):
    machine, place = station.machine, station.machine.path(SETTINGS)
    good = place.read_text()
    machine.run(
        "mkdir -p /run/systemd/system/ingestd.service.d && printf '[Unit]\\nOnFailure=told.service\\n' > /run/systemd/system/ingestd.service.d/f.conf"
        " && printf '[Service]\\nType=oneshot\\nExecStart=touch /run/told\\n' > /run/systemd/system/told.service && systemctl daemon-reload"
    )
    place.write_text(good.replace("rate: 20", "rate: many\nretaes: 20"))
    since = machine.run("date +%s.%N").out.strip()
    holds(machine.run("systemctl restart ingestd", check=False).code != 0, "settings that are wrong keep the daemon down")
    until("OnFailure=", 20, lambda: machine.run("test -e /run/told", check=False).code == 0)
    entries = [entry for entry in station.journal(f"-u ingestd --since @{since}") if entry.get("_COMM") == "ingestd"]
    errors = [entry["MESSAGE"] for entry in entries if entry["PRIORITY"] == "3"]
    holds(len(errors) == 2 and "many" in errors[0] and "retaes" in errors[1], f"each problem is one line of an error, found {errors}")
    others = [entry["MESSAGE"] for entry in entries if entry["PRIORITY"] != "3" and ("many" in entry["MESSAGE"] or "retaes" in entry["MESSAGE"])]
    holds(not others, f"nothing stands there twice: {others}")
    holds("retaes" in machine.run("systemctl status --no-pager ingestd", check=False).out, "`systemctl status` shows them")
    place.write_text(good)
    machine.run("rm -r /run/systemd/system/ingestd.service.d /run/systemd/system/told.service && systemctl daemon-reload && systemctl start ingestd")
    until("the show is on air", 30, lambda: station.on_air() == [SHOW])
    station.passed("boot errors: exit code 78 is not tried again, OnFailure= acts, each problem is one line of priority 3")


def stations(station):
    """A second daemon on the host, by the template."""
    machine = station.machine
    machine.run("mkdir -p /etc/ingestd/north/schedules && cp -r /etc/ingestd/credentials /etc/ingestd/north/")
    text = machine.path(SETTINGS).read_text().replace("listen: 127.0.0.1:8620", "listen: 127.0.0.1:8630")
    machine.path("/etc/ingestd/north/ingestd.yaml").write_text(text + "\nstate: /var/lib/ingestd-north\ncontrol: /run/ingestd-north/control.sock\n")
    machine.path("/etc/ingestd/north/schedules/hall.yaml").write_text(
        "jobs:\n  hall: {at: \"23:00\", for: 1m, room: hall, stream: https://cdn.example.com/hall.mp4, timezone: UTC}\n")
    machine.run("systemctl start ingestd@north")
    north = "ingestd --config /etc/ingestd/north/ingestd.yaml"
    machine.run("systemctl reload ingestd@north", seconds=90)
    machine.run(f"{north} fire hall --for 10m", user=USER)
    until("the show of the other station is on air", 30, lambda: '"job":"hall"' in machine.run(f"{north} status --format json", check=False).out)
    users = [machine.run(f"stat -c %u /proc/{station.show('MainPID', unit)}").out for unit in ["ingestd", "ingestd@north"]]
    holds(users[0] != users[1], f"each station has a user of its own, found {users}")
    holds(station.on_air() == [SHOW], "neither knows of the other's shows")
    machine.run(f"{north} stop --all", user=USER)
    until("it is off the air", 30, lambda: station.requests("stop", "-") + station.requests("stop", "hall") >= 1)
    machine.run("systemctl stop ingestd@north && rm -r /etc/ingestd/north")
    station.passed("stations: a second daemon by the template has its own user, ledger and socket")


def removal(station):
    machine = station.machine
    remove = "DEBIAN_FRONTEND=noninteractive apt-get remove -y ingestd"
    for what in ["", "systemctl stop ingestd"]:
        machine.run(what)
        refused = machine.run(remove, check=False, seconds=120)
        holds(refused.code != 0 and "stop --all" in refused.err + refused.out and SHOW in refused.err + refused.out, f"a removal is refused: {refused}")
        holds(machine.run("ingestd --version", check=False).code == 0, "the program is still there")
        # dpkg takes the refusal back, and the daemon with it.
        machine.run("systemctl start ingestd")
        until("the show is on air", 30, lambda: station.on_air() == [SHOW])
    # Who means it can do it; what comes back takes up the show.
    machine.run(f"INGESTD_REMOVE=on-air {remove}", seconds=120)
    machine.run(f"DEBIAN_FRONTEND=noninteractive apt-get install -y ./{package.SECOND}", seconds=120)
    machine.run("systemctl enable --now ingestd")
    until("the show is on air", 30, lambda: station.on_air() == [SHOW])
    machine.run("ingestd stop --all")
    until("nothing is on air", 60, lambda: station.on_air() == [])
    machine.run(remove, seconds=120)
    holds(machine.run("test -e /usr/bin/ingestd", check=False).code != 0, "the program is gone")
    holds(machine.run("test -s /var/lib/private/ingestd/ingestd.db", check=False).code == 0, "the ledger stays")
    machine.run("DEBIAN_FRONTEND=noninteractive apt-get purge -y ingestd", seconds=120)
    left = machine.run("ls -d /var/lib/ingestd /var/lib/private/ingestd /etc/ingestd/credentials /etc/ingestd/ingestd.yaml 2>/dev/null", check=False).out
    holds(left == "", f"a purge leaves nothing but schedules: {left}")
    station.passed("removal: refused while a show is on air, daemon up or down; then it goes, and a purge takes ledger and secrets")
