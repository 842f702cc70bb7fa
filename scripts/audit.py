#!/usr/bin/env python3
"""Ask whether a package that hydrad is pinned to has a known vulnerability.

pip-audit is asked first about a release that has some. Where the answer knows of none, the data base was not reached,
whatever the exit status says: that is told, and fails nothing, for a counting house reaches none.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[1]
PINNED = ("constraints/run.txt", "constraints/dev.txt")
KNOWN_BAD = "pillow==9.0.0"
PIN = re.compile(r"^([A-Za-z0-9._-]+==[^\s;\\]+)", re.MULTILINE)
WITHIN_S = 600


def main(tool: Sequence[str]) -> int:
    """Print what is wrong; 1 if anything is that constraints/policy.toml does not accept."""
    vulnerable = asked(tool, [KNOWN_BAD])
    if not vulnerable:
        print(
            "audit: the data base of vulnerabilities is not reached from here; the tests check constraints/policy.toml"
        )
        return 0
    pins = sorted({pin for file in PINNED for pin in PIN.findall((CHECKOUT / file).read_text())})
    policy = tomllib.loads((CHECKOUT / "constraints/policy.toml").read_text())
    accepted = {one["id"]: one["why"] for one in policy.get("accepted", [])}
    found = asked(tool, pins)
    open_ones = [one for one in found if accepted.keys().isdisjoint({one["id"], *one["aliases"]})]
    for one in open_ones:
        print(f"audit: {one['package']}: {one['id']}, mended in {', '.join(one['fix_versions']) or 'no release yet'}")
    print(
        f"audit: {len(pins)} packages, {len(open_ones)} known vulnerabilities, {len(found) - len(open_ones)} accepted"
    )
    return int(bool(open_ones))


def asked(tool: Sequence[str], pins: Sequence[str]) -> list[dict[str, Any]]:
    """The known vulnerabilities of these packages; none where nobody could say."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pins))
        file.flush()
        answer = subprocess.run(
            [*tool, "-r", file.name, "--no-deps", "--disable-pip", "--progress-spinner", "off", "-f", "json"],
            check=False, capture_output=True, text=True, timeout=WITHIN_S,
        )  # fmt: skip
    try:
        packages = json.loads(answer.stdout)["dependencies"]
    except (ValueError, KeyError):
        return []
    return [
        {"package": f"{one['name']} {one['version']}", **fault} for one in packages for fault in one.get("vulns", [])
    ]


def installed(folder: Path) -> Sequence[str]:
    """pip-audit, in an environment of its own."""
    venv.create(folder, with_pip=True)
    pip = [folder / "bin/pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps", "--require-hashes"]
    subprocess.run([*pip, "-r", CHECKOUT / "constraints/audit.txt"], check=True)
    return [str(folder / "bin/pip-audit")]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(sys.argv[1:]))
    with tempfile.TemporaryDirectory() as folder:
        try:
            tool = installed(Path(folder))
        except subprocess.CalledProcessError:
            print("audit: pip-audit cannot be installed from here; the tests check constraints/policy.toml")
            sys.exit(0)
        sys.exit(main(tool))
