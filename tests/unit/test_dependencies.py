"""What hydrad is made of: pinned by hash, from nowhere in particular, and nothing that is known to be bad."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import tomllib
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

CHECKOUT = Path(__file__).parents[2]
FILES = sorted((CHECKOUT / "constraints").glob("*.txt"))
POLICY = tomllib.loads((CHECKOUT / "constraints/policy.toml").read_text(encoding="utf-8"))
PINNED_ELSEWHERE = {"gpu", "fuzz", "int8", "jax", "ray", "torch"}  # or left to whoever wants them
PIN = re.compile(r"([a-z0-9][a-z0-9.-]*)==([\w.+!]+)(?: ; [^\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
COPYLEFT = re.compile(r"\b[AL]?GPL|General Public Licen[cs]e", re.IGNORECASE)


def pins(file: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, version in PIN.findall(file.read_text(encoding="utf-8")):
        found.setdefault(name, []).append(version)
    return found


RUN, DEV = pins(CHECKOUT / "constraints/run.txt"), pins(CHECKOUT / "constraints/dev.txt")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_line_is_a_version_or_its_hash_and_no_address(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        assert PIN.fullmatch(line) or HASH.fullmatch(line), line
        if HASH.fullmatch(line):
            assert before.endswith("\\")
    assert not lines[-1].endswith("\\")


def test_what_is_tested_is_what_runs() -> None:
    assert {name: DEV.get(name) for name in RUN} == RUN


def test_everything_that_is_asked_for_is_pinned_as_it_is_asked_for() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = project["dependencies"] + [
        one for name, wanted in extras.items() if name not in PINNED_ELSEWHERE for one in wanted
    ]
    for one in map(Requirement, asked):
        name = re.sub(r"[-_.]+", "-", one.name).lower()
        assert any(one.specifier.contains(version) for version in DEV[name]), one


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_version_is_one_that_is_known_to_be_bad(file: Path) -> None:
    found = pins(file)
    for bad in POLICY["refused"]:
        for version in found.get(bad["name"], []):
            assert Version(version) >= Version(bad["below"]), f"{bad['name']} {version}: {bad['why']}"


def test_the_policy_speaks_of_packages_that_there_are_and_of_the_past() -> None:
    assert POLICY["reviewed"] <= datetime.now(UTC).date()
    everything = set().union(*map(pins, FILES))
    for one in (*POLICY["refused"], *POLICY["licence"]):
        assert one["name"] in everything
        assert one["why"]
    for one in POLICY.get("accepted", []):
        assert isinstance(one["until"], date)
        assert one["until"] >= POLICY["reviewed"], f"{one['id']} was accepted until {one['until']}: weigh it again"


def test_a_licence_that_asks_something_of_others_has_been_thought_of() -> None:
    strict = {name for name in {**RUN, **DEV} if COPYLEFT.search(_licence(name))}
    assert strict <= {one["name"] for one in POLICY["licence"]}
    assert {"mysqlclient", "phoebusgen"} <= strict  # they would be found


def _licence(name: str) -> str:
    try:
        said = metadata(name)
    except PackageNotFoundError:  # of another platform
        return ""
    classes = [one for one in said.get_all("Classifier") or [] if one.startswith("License")]
    return " ".join([said.get("License-Expression") or "", (said.get("License") or "")[:200], *classes])


# ---- the audit, with stand-ins for pip-audit: what its data base says is not ours to choose ----

FAULT = {"id": "PYSEC-1", "aliases": ["CVE-2026-1"], "fix_versions": ["99"], "description": ""}


def audited(tmp_path: Path, *, reached: bool, faults: dict[str, Any], policy: str = "") -> tuple[int, str]:
    """What ``scripts/audit.py`` makes of these answers."""
    here = tmp_path / "checkout"
    (here / "scripts").mkdir(parents=True)
    (here / "constraints").mkdir()
    (here / "scripts/audit.py").write_text((CHECKOUT / "scripts/audit.py").read_text())
    for name in ("run.txt", "dev.txt"):
        (here / "constraints" / name).write_text("tidy==1.0 \\\n    --hash=sha256:00\nshaky==2.0 ; x \\\n")
    (here / "constraints/policy.toml").write_text(policy)
    known = {**({"pillow": [FAULT]} if reached else {}), **faults}
    tool = tmp_path / "pip-audit"
    tool.write_text(
        f"#!{sys.executable}\n"
        "import json, sys\n"
        f"known = json.loads({json.dumps(known)!r})\n"
        "pins = open(sys.argv[sys.argv.index('-r') + 1]).read().split()\n"
        "names = [pin.partition('==')[::2] for pin in pins]\n"
        "print(json.dumps({'dependencies': [{'name': n, 'version': v, 'vulns': known[n]} if n in known else\n"
        "    {'name': n, 'skip_reason': 'Dependency not found on PyPI'} for n, v in names]}))\n"
    )
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    words = [sys.executable, here / "scripts/audit.py", tool]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_a_data_base_that_is_not_reached_is_said_and_fails_nothing(tmp_path: Path) -> None:
    code, said = audited(tmp_path, reached=False, faults={})
    assert (code, "is not reached from here" in said) == (0, True)


def test_a_known_vulnerability_fails_the_audit_unless_it_was_weighed(tmp_path: Path) -> None:
    code, said = audited(tmp_path / "1", reached=True, faults={"shaky": [FAULT]})
    assert (code, "shaky 2.0: PYSEC-1, mended in 99" in said) == (1, True)
    accepted = '[[accepted]]\nid = "CVE-2026-1"\nwhy = "not called"\nuntil = 2027-01-01\n'
    code, said = audited(tmp_path / "2", reached=True, faults={"shaky": [FAULT]}, policy=accepted)
    assert (code, "0 known vulnerabilities, 1 accepted" in said) == (0, True)
    code, said = audited(tmp_path / "3", reached=True, faults={})
    assert (code, "2 packages, 0 known vulnerabilities" in said) == (0, True)
