#!/usr/bin/env python3
"""A real scrape of a real daemon, the alert rules and the dashboard, judged by Prometheus' own tool. Debian's package `prometheus` has it.

    cargo build && tests/oracles/promtool.py [--program target/debug/ingestd]

A sandbox and a daemon are started on ports of the loopback, with a show on air. `promtool check metrics` reads what `/metrics` answers,
`promtool check rules` and `promtool test rules` the alert rules. Each metric that the rules and the dashboard name must be in the scrape.
The daemon also listens at an address that other hosts reach: there the token is asked for. Exit 1 on the first fault.
"""

import argparse
import base64
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60
TOKEN = "hush-token-of-the-oracle"
# Series that there may be nothing to say of in a scrape of a minute.
SOMETIMES = {"ingestd_clock_synchronised", "ingestd_clock_offset_seconds", "ingestd_next_start_timestamp_seconds"}


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def get(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.headers.get("Content-Type"), answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers.get("Content-Type"), refused.read().decode()


def wait_until(what, look):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            found = look()
        except OSError:
            found = None
        if found:
            return found
        time.sleep(0.1)
    sys.exit(f"waited {PATIENCE} s in vain until {what}")


def promtool(*arguments, text=None, folder=ROOT):
    ran = subprocess.run(["promtool", *arguments], input=text, capture_output=True, text=True, cwd=folder)
    said = (ran.stdout + ran.stderr).strip()
    print(f"promtool {' '.join(arguments)}: {said or 'nothing to say'}")
    # `check metrics` says what is not good style, and ends with 3 then.
    if ran.returncode != 0:
        sys.exit(f"promtool ends with {ran.returncode}")


def sandbox(program, port):
    """A stand-in for TRTC on that port, and the credentials that it prints."""
    process = subprocess.Popen([program, "sandbox", "--listen", f"127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True)
    said = {}
    for line in process.stdout:
        if match := re.match(r"(?:export )?\s*([A-Za-z_]+)[=:] *(\S+)$", line.rstrip()):
            said[match[1]] = match[2]
        if line.startswith("# Requests"):
            return process, said
    sys.exit("the sandbox ended")


def prepare(folder, said, endpoint, page, public):
    secrets = {"id": said["TENCENTCLOUD_SECRET_ID"], "key": said["TENCENTCLOUD_SECRET_KEY"], "app": said["SANDBOX_APP_KEY"], "token": TOKEN}
    for name, value in secrets.items():
        (folder / name).write_text(value)
        (folder / name).chmod(0o600)
    start = (datetime.now(timezone.utc) + timedelta(seconds=6)).strftime("%Y-%m-%d %H:%M:%S")
    (folder / "schedules").mkdir()
    (folder / "schedules" / "a.yaml").write_text(
        "timezone: UTC\njobs:\n"
        f"  show: {{once: {start}, for: 1h, room: lobby, stream: https://cdn.example.com/a.mp4, length: 1m, repeat: forever}}\n"
        "  daily: {at: '03:00', room: den, stream: https://cdn.example.com/b.mp4, length: 1m}\n"
    )
    (folder / "ingestd.yaml").write_text(
        "account: {secret_id: {file: id}, secret_key: {file: key}, region: ap-singapore,"
        f" endpoint: 'http://127.0.0.1:{endpoint}'}}\n"
        f"apps: {{main: {{sdk_app_id: {said['sdk_app_id']}, secret_key: {{file: app}}}}}}\n"
        f"state: state\nlisten: ['127.0.0.1:{page}', '0.0.0.0:{public}']\nlisten_public: true\nlisten_token: {{file: token}}\n"
    )


def names(text):
    """The metrics that an expression or a dashboard names, as they are in the text format."""
    return set(re.findall(r"\bingestd_[a-z_]+\b", text))


def judge(program, folder):
    endpoint, page, public = free_ports(3)
    stand_in, said = sandbox(program, endpoint)
    prepare(folder, said, endpoint, page, public)
    log = (folder / "log").open("w")
    daemon = subprocess.Popen([program, "--config", folder / "ingestd.yaml", "run"], stderr=log)
    try:
        here, there = f"http://127.0.0.1:{page}", f"http://127.0.0.1:{public}"
        def on_air():
            status, _, body = get(f"{here}/metrics")
            return body if status == 200 and re.search(r'requests_total\{action="start",app="main",code="ok"\} 1', body) else None
        body = wait_until("the show is on air", on_air)
        promtool("check", "metrics", text=body)
        judge_names(body)
        judge_token(there, body)
        status, kind, body = get(f"{here}/metrics", Accept="application/openmetrics-text; version=1.0.0")
        assert status == 200 and kind.startswith("application/openmetrics-text") and body.endswith("\n# EOF\n"), (status, kind)
        assert get(f"{there}/readyz")[0] == 200, get(f"{there}/readyz")
        asked = subprocess.run([program, "--config", folder / "ingestd.yaml", "status"], capture_output=True, text=True)
        assert asked.returncode == 0, asked
    finally:
        daemon.terminate()
        stand_in.terminate()
        daemon.wait()
        log.close()
        said = (folder / "log").read_text()
        assert TOKEN not in said, "the token is in the log"
    print(said.splitlines()[-1])


def judge_names(body):
    series = names(body)
    bases = series | {name.removesuffix(end) for name in series for end in ("_bucket", "_sum", "_count")}
    for path in ("systemd/alerts.rules.yml", "systemd/grafana.json"):
        text = (ROOT / path).read_text()
        if path.endswith(".json"):
            json.loads(text)
        else:
            text = "\n".join(line for line in text.splitlines() if "description:" not in line)
        unknown = names(text) - bases - SOMETIMES
        assert not unknown, f"{path} names what is not in the scrape: {unknown}"


def judge_token(there, body):
    assert get(f"{there}/healthz")[0] == 200
    assert get(f"{there}/metrics")[0] == 401
    assert get(f"{there}/metrics", Authorization="Bearer hush-wrong-token-of-somebody")[0] == 401
    basic = base64.b64encode(f"anna:{TOKEN}".encode()).decode()
    for given in (f"Bearer {TOKEN}", f"Basic {basic}"):
        status, _, seen = get(f"{there}/metrics", Authorization=given)
        assert status == 200 and names(seen) == names(body), (status, given)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default=ROOT / "target/debug/ingestd")
    program = Path(parser.parse_args().program).resolve()
    if not shutil.which("promtool"):
        print("left out: what Prometheus says of the metrics; promtool is not installed")
        return
    promtool("check", "rules", "systemd/alerts.rules.yml")
    promtool("test", "rules", "alerts.test.yml", folder=ROOT / "tests/oracles")
    with tempfile.TemporaryDirectory() as name:
        # The dashboard's expressions, as rules: JSON is YAML too.
        panels = json.loads((ROOT / "systemd/grafana.json").read_text())["panels"]
        exprs = [target["expr"].replace("$__rate_interval", "5m") for panel in panels for target in panel["targets"]]
        rules = [{"record": f"dashboard:{number}", "expr": expr} for number, expr in enumerate(exprs)]
        Path(name, "dashboard.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
        promtool("check", "rules", "dashboard.yml", folder=name)
    with tempfile.TemporaryDirectory() as name:
        judge(program, Path(name))
    print("good: the scrape, the rules and the dashboard")


if __name__ == "__main__":
    main()
