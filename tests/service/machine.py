"""A Debian that boots with a systemd of its own, beside a sandbox that it does not see end: roots by debootstrap, systemd-nspawn, and a
network that has only a loopback. All of it ends with this process, however that ends. Does not know what ingestd is."""

import ctypes
import os
import pathlib
import pty
import shutil
import signal
import subprocess
import time

# What a booted root has beside Debian's smallest: nothing is fetched after that.
PACKAGES = "systemd,dbus,libpam-systemd,ca-certificates"
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root", "TERM": "dumb"}
DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class Failed(Exception):
    """A check did not hold."""


def ends_with_us():
    """In a child, before its program: it ends when this process does."""
    ctypes.CDLL(None).prctl(DIES_WITH_PARENT, signal.SIGKILL)


def until(what, seconds, question):
    """Asks again and again, for so long at most; returns the first answer that is true."""
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(0.1)


def mirror():
    """Where this machine's own packages come from."""
    release = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    ours = release.get("VERSION_CODENAME", "").strip('"')
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"],
        check=True, capture_output=True, text=True,
    ).stdout.split("\n")
    rows = [line.split() for line in targets if line]
    for codename, component, site in rows:
        if codename == ours and component == "main":
            return site
    raise Failed(f"no source of apt has `main` of `{ours}` in {rows}")


def root(suite, folder):
    """Makes a root once, and returns its folder."""
    whole = folder / f"{suite}-root"
    if whole.is_dir():
        return whole
    partial = folder / f"{suite}-partial"
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(partial), mirror()]
    log = folder / f"{suite}-debootstrap.log"
    # A mirror may fail for a moment.
    for _ in range(2):
        shutil.rmtree(partial, ignore_errors=True)
        with log.open("ab") as out:
            made = subprocess.run(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, timeout=900, preexec_fn=ends_with_us)
        if not made.returncode:
            partial.rename(whole)
            return whole
    raise Failed(f"debootstrap of {suite} ended with {made.returncode}: see {log}")


class Result:
    """How a command ended, and what it said."""

    def __init__(self, command, code, out, err):
        self.command, self.code, self.out, self.err = command, code, out, err

    def __str__(self):
        return f"`{self.command}` ended with {self.code}\n{self.out}{self.err}"


class ControlGroups:
    """Groups of processes of a machine's own: two machines in one group would each believe that the other's services are its own."""

    def __init__(self, name):
        self.folders = []
        for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            folders = {"name=systemd": ["/sys/fs/cgroup/systemd"], "": ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]}.get(controllers, [])
            top = next((folder for folder in map(pathlib.Path, folders) if (folder / "cgroup.procs").exists()), None)
            if top:
                folder = top / path.lstrip("/") / f"{name}-{os.getpid()}"
                folder.mkdir()
                self.folders.append(folder)

    def enter(self):
        """Of a child, before its program."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text("0")

    def close(self):
        for top in self.folders:
            for folder, _, _ in os.walk(top, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass  # A process of it is still on its way out; an empty group is nothing.


class Network:
    """A network with a loopback and nothing else, for as long as this object is there."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--net", "--", "sh", "-c", "ip link set lo up && exec sleep infinity"], preexec_fn=ends_with_us)
        self.path = f"/proc/{self.holder.pid}/ns/net"
        until("a network of its own", 10, lambda: "lo" in self._run("ip", "-brief", "link", "show", "up").stdout)

    def inside(self, command):
        """The same command in it."""
        return ["nsenter", f"--net={self.path}", *command]

    def _run(self, *command):
        return subprocess.run(self.inside(command), capture_output=True, text=True)

    def start(self, command, output, environment=None):
        """Starts a program of this host in it."""
        return subprocess.Popen(self.inside(command), stdout=output, stderr=subprocess.STDOUT, env=environment, preexec_fn=ends_with_us)

    def close(self):
        self.holder.kill()
        self.holder.wait()


class Machine:
    """A copy of a root, booted."""

    def __init__(self, name, base, folder, network):
        self.name, self.folder, self.network = name, folder, network
        self.log = folder.with_suffix(".log").open("wb")
        self.nspawn = self.leader = None
        self.groups = ControlGroups(name)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["cp", "--archive", "--reflink=auto", str(base), str(folder)], check=True)
        (folder / "etc/hostname").write_text("station\n")

    def boot(self):
        """Returns when systemd has started everything."""
        command = [
            "systemd-nspawn", "--register=no", "--keep-unit", "--quiet", "--console=pipe", f"--machine={self.name}",
            f"--network-namespace-path={self.network.path}", f"--directory={self.folder}", "--boot",
        ]

        def child():
            ends_with_us()
            self.groups.enter()

        self.nspawn = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, preexec_fn=child)
        children = pathlib.Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children")

        def first():
            if self.nspawn.poll() is not None:
                raise Failed(f"systemd-nspawn ended with {self.nspawn.returncode}: see {self.log.name}")
            for child in children.read_text().split():
                status = pathlib.Path(f"/proc/{child}/status")
                if any(line.split()[-1:] == ["1"] for line in status.read_text().splitlines() if line.startswith("NSpid:")):
                    return child
            return None

        self.leader = until("a first process", 30, first)
        until("systemd answers", 60, lambda: self.run("systemctl is-system-running --wait", check=False, seconds=90).out.strip() == "running")

    def run(self, command, user=None, check=True, seconds=60, typed=None):
        """Runs a line of a shell. What is typed comes from a terminal, as of somebody who sits there."""
        inner = ["/bin/sh", "-c", f"cd; {command}"]
        if user:
            inner = ["runuser", "-u", user, "--", "env", "HOME=/tmp", *inner]
        entered = ["nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        whole = [*entered, "env", "-i", *(f"{name}={value}" for name, value in ENVIRONMENT.items()), *inner]
        stdin, hands = subprocess.DEVNULL, None
        if typed is not None:
            hands, stdin = pty.openpty()
            os.write(hands, typed.encode())
        try:
            done = subprocess.run(whole, stdin=stdin, capture_output=True, text=True, timeout=seconds, preexec_fn=ends_with_us)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"not within {seconds} s: `{command}`\n{late.stdout}\n{late.stderr}") from late
        finally:
            if hands is not None:
                os.close(hands)
                os.close(stdin)
        result = Result(command, done.returncode, done.stdout, done.stderr)
        if check and result.code:
            raise Failed(str(result))
        return result

    def path(self, inside):
        """A path of the machine, as this host sees it. Not for below /run and /tmp, which are mounts of the machine."""
        return self.folder / inside.lstrip("/")

    def reboot(self):
        """Everything of the machine ends, and it boots again. Its network and what else is there stay."""
        self.run("systemctl reboot", check=False)
        self.nspawn.wait(60)
        self.boot()

    def close(self):
        if self.nspawn and self.nspawn.poll() is None:
            # The end of the first process is the end of all of them.
            if self.leader:
                os.kill(int(self.leader), signal.SIGKILL)
            try:
                self.nspawn.wait(20)
            except subprocess.TimeoutExpired:
                self.nspawn.kill()
                self.nspawn.wait()
        self.groups.close()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
