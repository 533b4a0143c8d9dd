"""The image: made without a daemon, unpacked, and run as a runtime would run it, from its own configuration."""

import hashlib
import json
import shutil
import signal
import subprocess
import tarfile

from machine import Network, until
from station import ENDPOINT

SHOW = "jobs:\n  promo: {at: \"23:59\", timezone: UTC, for: 1m, room: lobby, stream: https://cdn.example.com/promo.mp4}\n"


def holds(truth, what):
    assert truth, what


def blob(image, described):
    """A part of the image, whose digest is right."""
    content = (image / "blobs" / described["digest"].replace(":", "/")).read_bytes()
    holds(f"sha256:{hashlib.sha256(content).hexdigest()}" == described["digest"] and len(content) == described["size"], f"{described}")
    return content


def unpack(image, root):
    """Returns the configuration."""
    index = json.loads((image / "index.json").read_text())
    manifest = json.loads(blob(image, index["manifests"][0]))
    config = json.loads(blob(image, manifest["config"]))
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    root.chmod(0o755)
    for layer in manifest["layers"]:
        blob(image, layer)
        with tarfile.open(image / "blobs" / layer["digest"].replace(":", "/")) as tar:
            tar.extractall(root, numeric_owner=True)
    return config["config"]


def run(repository, program, folder):
    """Everything of the image."""
    image, root, log = folder / "image", folder / "image-root", folder / "image-sandbox.log"
    subprocess.run([repository / "packaging/oci", repository / "target/package/ingestd", "--out", image], check=True, timeout=120)
    config = unpack(image, root)
    names = [path.name for path in root.rglob("*") if path.is_file()]
    holds("sh" not in names and "bash" not in names and len(names) < 12, f"the image has little in it: {names}")
    network, running = Network(), []
    try:
        with log.open("wb") as out:
            running.append(network.start([str(program), "sandbox", "--listen", ENDPOINT], out))
        until("the sandbox listens", 20, lambda: "Requests as they arrive" in log.read_text())
        settings, exports = log.read_text().split("# For the shell")
        (root / "etc/ingestd/ingestd.yaml").write_text(settings.replace("state: state", "# state: state"))
        (root / "etc/ingestd/schedules/promo.yaml").write_text(SHOW)
        environment = dict(line.split("=", 1) for line in config["Env"])
        environment.update(line.removeprefix("export ").split("=", 1) for line in exports.splitlines() if line.startswith("export "))

        def command(arguments):
            return [shutil.which("chroot"), f"--userspec={config['User']}", str(root), *arguments]

        def ask(*arguments):
            inside = network.inside(command(["/usr/bin/ingestd", *arguments]))
            return subprocess.run(inside, env=environment, capture_output=True, text=True, timeout=30)

        with (folder / "image-daemon.log").open("wb") as out:
            daemon = network.start(command([*config["Entrypoint"], *config["Cmd"]]), out, environment)
        running.append(daemon)
        check = config["Healthcheck"]["Test"]
        holds(check[:2] == ["CMD", "/usr/bin/ingestd"], f"{check}")
        until("it is alive", 20, lambda: ask(*check[2:]).returncode == 0)
        fired = ask("fire", "promo", "--for", "1m")
        holds(fired.returncode == 0, f"{fired}")
        until("a show is on air", 20, lambda: any(" lobby " in line and line.rstrip().endswith(" ok") for line in log.read_text().splitlines()))
        (root / "etc/ingestd/schedules/promo.yaml").write_text("jobs: broken\n")
        ask("reload")
        holds(ask("status").returncode == 1 and ask(*check[2:]).returncode == 0, "a bad schedule is no reason for a restart")
        daemon.send_signal(signal.SIGSTOP)
        stopped = ask(*check[2:])
        holds(stopped.returncode in (1, 69), f"a daemon that stands is not alive: {stopped}")
        daemon.send_signal(signal.SIGCONT)
        until("it is alive again", 20, lambda: ask(*check[2:]).returncode == 0)
        daemon.send_signal(signal.SIGTERM)
        holds(daemon.wait(20) == 0, "SIGTERM ends it with 0")
        holds(ask(*check[2:]).returncode == 69, "a daemon that is gone is not alive")
    finally:
        for process in running:
            process.kill()
            process.wait()
        network.close()
        shutil.rmtree(root, ignore_errors=True)
    print("PASS image: unpacked, as nonroot, a show is on air; its health check is 0 while /healthz is 200, and not when the daemon stands", flush=True)
