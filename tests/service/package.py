"""The packages that the machines get: one, and a later one of the same program to upgrade to. Judged by lintian."""

import subprocess

from machine import Failed

FIRST, SECOND = "ingestd_0.1.0-1_amd64.deb", "ingestd_0.1.0-2_amd64.deb"


def make(repository, program, folder):
    """Packs the program twice."""
    for name, revision in [(FIRST, "1"), (SECOND, "2")]:
        made = subprocess.run(
            [repository / "packaging/build-deb", "--program", program, "--revision", revision], capture_output=True, text=True, timeout=300
        )
        if made.returncode:
            raise Failed(f"the package cannot be made:\n{made.stdout}{made.stderr}")
        (repository / "target/debian" / name).replace(folder / name)
    judged = subprocess.run(["lintian", "--allow-root", "--fail-on", "error", folder / FIRST], capture_output=True, text=True, timeout=300)
    print(judged.stdout, end="")
    if judged.returncode:
        raise Failed(f"lintian ended with {judged.returncode}: {judged.stderr}")
    print("PASS package: lintian finds no error", flush=True)
