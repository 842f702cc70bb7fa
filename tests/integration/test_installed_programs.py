"""`make wheels` and `make install` of the light part, by real wheels, with no package index at hand for the second."""

from __future__ import annotations

import os
import re
import subprocess
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = [
    pytest.mark.skipif(not os.environ.get("HYDRA_TEST_INSTALL"), reason="takes a package index: make test-install"),
    pytest.mark.timeout(600),
]

CHECKOUT = Path(__file__).parents[2]
SYSTEMS = next((one for n in (13, 12, 11) if (one := Path(f"/usr/bin/python3.{n}")).exists()), None)
NO_INDEX = {"PIP_NO_INDEX": "1", "PIP_INDEX_URL": "http://127.0.0.1:9/"}


def light() -> set[str]:
    """The packages that hydrad's base needs, and what builds it, with all that those need."""
    found: set[str] = set()
    wanted = [Requirement(text) for text in requires("hydrad") or () if "extra" not in text] + [
        Requirement("hatchling")
    ]
    while wanted:
        one = wanted.pop()
        name = re.sub(r"[-_.]+", "-", one.name).lower()
        if name not in found:
            found.add(name)
            inner = map(Requirement, requires(name) or ())
            wanted += [need for need in inner if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The light part of constraints/run.txt, hashes and all."""
    blocks = re.findall(r"(?m)^\S+==(?:.*\\\n)*.*\n", (CHECKOUT / "constraints/run.txt").read_text())
    names = light()
    file = tmp_path_factory.mktemp("pinned") / "light.txt"
    file.write_text("".join(block for block in blocks if block.partition("==")[0] in names))
    return file


def make(target: str, environment: dict[str, str] | None = None, **variables: object) -> str:
    assert SYSTEMS is not None
    words = [f"{name}={value}" for name, value in {"PYTHON": SYSTEMS, **variables}.items()]
    done = subprocess.run(
        ["make", "--silent", "-C", str(CHECKOUT), target, *words],
        env={**{name: value for name, value in os.environ.items() if name != "PYTHONPATH"}, **(environment or {})},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(SYSTEMS is None, reason="the system has no Python that hydrad runs on")
def test_releases_are_installed_from_wheels_without_a_network_and_stand_side_by_side(
    pinned: Path, tmp_path: Path
) -> None:
    wheels, root = tmp_path / "wheels", tmp_path / "root"
    make("wheels", WHEELS=wheels, REQUIREMENTS=pinned)
    assert {"numpy", "sqlalchemy", "hatchling"} <= {wheel.name.partition("-")[0] for wheel in wheels.glob("*.whl")}
    asked = {"DESTDIR": root, "WHEELS": wheels, "REQUIREMENTS": pinned}
    make("install", NO_INDEX, **asked)

    programs = root / "opt/hydrad"
    first = (programs / "current").readlink()
    script = programs / "current/bin/hydrad"
    assert script.read_text().splitlines()[0] == f"#!/opt/hydrad/{first}/bin/python"
    assert str((root / "usr/local/bin/hydrad").readlink()) == "/opt/hydrad/current/bin/hydrad"
    assert str(root) not in "".join(file.read_text() for file in (programs / first / "bin").glob("[ap]*[!n0-9]"))
    python = programs / "current/bin/python"
    said = subprocess.run([python, "-m", "hydrad", "--version"], check=True, capture_output=True, text=True, cwd="/")
    assert said.stdout.startswith("hydrad ")

    before = (programs / first / ".complete").stat().st_mtime_ns
    assert f"/opt/hydrad/{first} is there" in make("install", NO_INDEX, **asked)
    assert (programs / first / ".complete").stat().st_mtime_ns == before

    pinned.write_text(pinned.read_text() + "# as it is\n")
    said_then = make("install", NO_INDEX, **asked)
    second = (programs / "current").readlink()
    assert second != first
    assert f"ln -sfn {first} /opt/hydrad/current" in said_then
    assert (programs / first / ".complete").exists()

    make("uninstall", DESTDIR=root)
    assert not programs.exists()
    assert (root / "etc/hydrad/hydra.toml").exists()


@pytest.mark.skipif(SYSTEMS is None, reason="the system has no Python that hydrad runs on")
def test_a_wheel_that_is_not_the_pinned_one_is_not_installed(pinned: Path, tmp_path: Path) -> None:
    wheels, root = tmp_path / "wheels", tmp_path / "root"
    make("wheels", WHEELS=wheels, REQUIREMENTS=pinned)
    forged = next(wheels.glob("structlog-*.whl"))
    forged.write_bytes(forged.read_bytes() + b"\0")
    with pytest.raises(AssertionError, match="HASHES"):
        make("install", NO_INDEX, DESTDIR=root, WHEELS=wheels, REQUIREMENTS=pinned)
    assert not (root / "opt/hydrad/current").exists()
