"""The service as a new operator meets it: a fresh Debian with a systemd of its own, the package, the README's steps to the letter.

    cargo build && cargo install cargo-deb --locked
    python3 tests/service/service.py                # bookworm and trixie, side by side
    python3 tests/service/service.py --suite trixie --keep

It needs root, and Debian's debootstrap, systemd-container, iproute2 and lintian. The roots stay in target/service, nothing else does.
Media and Tencent's endpoint are the sandbox's; the machines have no other network. Exit 1 when a check does not hold.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import time
from concurrent import futures

import by_hand
import checks
import image
import machine
import package
import station as station_of

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ["debootstrap", "systemd-nspawn", "nsenter", "unshare", "ip", "cargo-deb", "lintian"]
SUITES = ["bookworm", "trixie"]
SECONDS_MAX = 1800


def missing(tools):
    """What keeps this from running here."""
    names = [tool for tool in tools if not shutil.which(tool)]
    return names if os.geteuid() == 0 else ["root", *names]


def one_suite(suite, program, folder, keep):
    """Everything, on one Debian."""
    base = machine.root(suite, folder)
    for part in [checks, by_hand]:
        network = machine.Network()
        station = station_of.Station(suite, part.__name__, base, folder, network, REPOSITORY, program)
        try:
            part.run(station)
        except (machine.Failed, AssertionError) as failed:
            print(f"FAIL {suite}: {failed}", flush=True)
            print(station.last_words(), flush=True)
            return 1
        finally:
            if not keep:
                station.close()
                network.close()
    return 0


def both(arguments):
    """A process each, whose lines come as they are made."""
    begin = time.monotonic()
    command = [sys.executable, __file__, "--program", arguments.program]
    suites = [(suite, subprocess.Popen([*command, "--suite", suite], preexec_fn=machine.ends_with_us)) for suite in arguments.suites]
    codes = {}
    for suite, process in suites:
        try:
            codes[suite] = process.wait(max(1, SECONDS_MAX - (time.monotonic() - begin)))
        except subprocess.TimeoutExpired:
            process.kill()
            codes[suite] = f"{SECONDS_MAX} s are over"
    print(f"service: {codes}, {time.monotonic() - begin:.0f} s")
    return int(any(codes.values()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default=str(REPOSITORY / "target/debug/ingestd"))
    parser.add_argument("--suite", choices=SUITES, help="this one alone, with packages that are there already")
    parser.add_argument("--suites", nargs="+", choices=SUITES, default=SUITES)
    parser.add_argument("--roots", action="store_true", help="only makes the roots")
    parser.add_argument("--keep", action="store_true", help="leaves the machine to be looked at when a check fails")
    arguments = parser.parse_args()
    lacking = missing(["debootstrap"] if arguments.roots else TOOLS)
    if lacking:
        print(f"left out: the service on a real systemd; not here: {', '.join(lacking)}")
        return 0
    folder = REPOSITORY / "target/service"
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.roots:
        with futures.ThreadPoolExecutor() as pool:
            print(*pool.map(lambda suite: machine.root(suite, folder), arguments.suites))
        return 0
    if arguments.suite:
        return one_suite(arguments.suite, pathlib.Path(arguments.program), folder, arguments.keep)
    package.make(REPOSITORY, arguments.program, folder)
    image.run(REPOSITORY, arguments.program, folder)
    return both(arguments)


if __name__ == "__main__":
    sys.exit(main())
