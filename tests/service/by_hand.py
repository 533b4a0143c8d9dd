"""The README's installation without a package, and its steps from there."""

import readme
from checks import SHOW, holds
from machine import until
from station import USER


def run(station):
    machine = station.machine
    station.start_sandbox()
    machine.boot()
    machine.run(f"useradd --create-home {USER}")
    # The folder of the source after a build, as far as the commands need it.
    source = machine.path("/root")
    (source / "target/release").mkdir(parents=True)
    (source / "target/release/ingestd").write_bytes((station.repository / "target/package/ingestd").read_bytes())
    (source / "target/release/ingestd").chmod(0o755)
    (source / "systemd").mkdir()
    for file in (station.repository / "systemd").glob("ingestd*"):
        if file.is_file():
            (source / "systemd" / file.name).write_bytes(file.read_bytes())
    for command in readme.commands(readme.section(station.readme, readme.BY_HAND)):
        station.follow(command)
    steps = readme.commands(readme.section(station.readme, readme.STEPS))
    for command in steps:
        if not command.text.startswith("apt "):
            station.follow(command)
        if "ingestd fire" in command.text:
            until("a show is on air", 30, lambda: station.on_air() == [SHOW])
    holds(machine.run("stat -c %a /etc/ingestd/credentials").out == "700\n", "the folder of the secrets is root's alone")
    holds(machine.run("stat -c %a /etc/ingestd/credentials/trtc-app-main").out == "600\n", "and so is each of them")
    machine.run(f"usermod --append --groups ingestd-operators {USER}")
    machine.run(f"ingestd stop {SHOW}", user=USER)
    until("the show is off the air", 30, lambda: station.on_air() == [])
    machine.run("test -s /usr/local/share/man/man5/ingestd-schedule.5 && test -s /usr/local/share/man/man8/ingestd.8")
    station.passed("by hand: each command of the README works, and a show is on air")
