"""A machine with ingestd, a sandbox beside it, and the hands of the operator who follows the README. Does not know what is checked."""

import json
import re
import subprocess
import time

import readme
from machine import Failed, Machine, until

ENDPOINT = "127.0.0.1:8621"
USER = "guest"
SETTINGS = "/etc/ingestd/ingestd.yaml"
SCHEDULE = "/etc/ingestd/schedules/lobby.yaml"
# The first start of the first show fails once, so that there is a warning to look for.
FAULTS = "faults:\n  - {action: start, room: lobby, times: 1, error: ResourceInsufficient.RequestRejection}\n"


class Station:
    """What a check gets."""

    def __init__(self, suite, part, base, folder, network, repository, program):
        self.suite, self.part, self.folder, self.repository, self.program = suite, part, folder, repository, program
        self.network = network
        self.readme = (repository / "README.md").read_text()
        self.machine = Machine(f"ingestd-{suite}", base, folder / f"{suite}-{part}", network)
        self.sandbox = None
        self.sandbox_log = folder / f"{suite}-{part}-sandbox.log"
        self.begin = time.monotonic()

    # The sandbox.

    def start_sandbox(self):
        faults = self.folder / f"{self.suite}-{self.part}-faults.yaml"
        faults.write_text(FAULTS)
        with self.sandbox_log.open("wb") as log:
            command = [str(self.program), "sandbox", "--listen", ENDPOINT, "--faults", str(faults)]
            self.sandbox = self.network.start(command, log)
        until("the sandbox listens", 20, lambda: "Requests as they arrive" in self.sandbox_log.read_text())

    def secrets(self):
        """What the sandbox printed: the id and the key of the account, the key of the application."""
        text = self.sandbox_log.read_text()
        return [re.search(rf"^export {name}=(\S+)", text, re.M).group(1) for name in ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "SANDBOX_APP_KEY"]]

    def requests(self, action, room):
        """How many of these the sandbox carried out."""
        rows = [line.split() for line in self.sandbox_log.read_text().splitlines()]
        return sum(1 for row in rows if len(row) >= 5 and row[1] == action and row[2] == room and row[4] == "ok")

    # The hands of an operator.

    def follow(self, command):
        """Does what a line of the README says, and returns its result."""
        user = None if command.is_root else USER
        if command.text.startswith("editor "):
            return self.edit(command.text.split()[1])
        typed = "".join(f"{secret}\n\x04" for secret in self.secrets()) if "cat >" in command.text else None
        # Of what the installer writes there is much.
        return self.machine.run(command.text, user=user, seconds=120, typed=typed)

    def edit(self, path):
        if path == SETTINGS:
            # What the README says: `region` and `sdk_app_id` are the sandbox's already, `endpoint` is added.
            place = self.machine.path(SETTINGS)
            line = re.search(r"^  # endpoint: .*$", place.read_text(), re.M).group(0)
            place.write_text(place.read_text().replace(line, f"  endpoint: http://{ENDPOINT}"))
        elif path == SCHEDULE:
            steps = readme.blocks(readme.section(self.readme, readme.STEPS), "yaml")
            assert len(steps) == 1, "the steps have one schedule"
            self.machine.path(SCHEDULE).write_text(steps[0])
        else:
            raise Failed(f"the README has an editor for `{path}`, of which this test knows nothing")

    # What can be asked.

    def main_pid(self):
        return int(self.show("MainPID"))

    def show(self, name, unit="ingestd"):
        return self.machine.run(f"systemctl show --value --property={name} {unit}").out.strip()

    def status(self):
        """Returns the object, whatever the health is."""
        result = self.machine.run("ingestd status --format json", check=False)
        if result.code not in (0, 1, 69):
            raise Failed(str(result))
        return json.loads(result.out)

    def on_air(self):
        return [show["job"] for show in self.status()["on_air"]]

    def journal(self, arguments):
        """Returns entries of the journal."""
        self.machine.run("journalctl --sync", check=False)
        lines = self.machine.run(f"journalctl --output=json --no-pager {arguments}", check=False).out.splitlines()
        return [json.loads(line) for line in lines]

    def messages(self, arguments):
        return [entry["MESSAGE"] for entry in self.journal(arguments)]

    def passed(self, text):
        print(f"PASS {self.suite}: {text}", flush=True)

    def last_words(self):
        """The end of the journal, for whoever looks at a failure."""
        try:
            return self.machine.run("journalctl --no-pager -n 60 -o short-precise; systemctl status --no-pager ingestd", check=False).out
        except (Failed, OSError, subprocess.SubprocessError) as error:
            return f"the machine says nothing: {error}"

    def close(self):
        if self.sandbox:
            self.sandbox.kill()
            self.sandbox.wait()
        self.machine.close()
