"""What importing the package costs, and what the package may not know."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hydrad

PACKAGE = Path(hydrad.__file__).parent
HEAVY = {
    "tensorflow",
    "keras",
    "openvino",
    "torch",
    "jax",
    "epics",
    "caproto",
    "watchdog",
    "sqlalchemy",
    "alembic",
    "MySQLdb",
    "PIL",
    "fastapi",
    "starlette",
    "uvicorn",
    "jinja2",
    "bokeh",
    "argon2",
    "httpx",
    "prometheus_client",
    "phoebusgen",
}
TEXTS = {".py", ".html", ".js", ".css", ".svg", ".toml", ".mako", ".txt", ".md"}
# A hall is data: its name and its experiments' stand in hydra.toml and in the docs.
HALLS = re.compile(r"(?i:gluex|\bclas ?12|\bjlab\b|jefferson|\bsbs\b|\bmoller\b)|\bHall[ _-]?[ABCD]\b|\bSoLID\b")
# These know what producers call their folders and files, and this one's are called after its program.
FORMATS = {PACKAGE / "watchers" / "layouts.py", PACKAGE / "sim" / "producers.py"}
PROGRAM = "clas12mon"


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has after this statement and had not before."""
    code = (
        "import json, sys; before = set(sys.modules)\n"
        f"{statement}\n"
        "sys.stdout.write(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_importing_the_package_loads_next_to_nothing() -> None:
    loaded = loaded_by("import hydrad")
    assert "hydrad" in loaded
    assert len(loaded) <= 20
    assert {name.split(".")[0] for name in loaded} <= {"hydrad", *sys.stdlib_module_names}


@pytest.mark.parametrize(
    "name", ["hydrad.cli", "hydrad.config", "hydrad.pipeline", "hydrad.images", "hydrad.beam", "hydrad.watchers"]
)
def test_importing_a_part_loads_no_tool_it_may_not_need(name: str) -> None:
    loaded = {module.split(".")[0] for module in loaded_by(f"import {name}")}
    allowed = {"hydrad.images": {"PIL"}}.get(name, set())
    assert loaded & HEAVY <= allowed


def test_asking_for_the_verbs_loads_no_tool() -> None:
    loaded = loaded_by(
        "import contextlib, io\n"
        "from hydrad.cli import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    main(['--help'])"
    )
    assert "hydrad.cli" in loaded
    assert not {module.split(".")[0] for module in loaded} & HEAVY


def test_the_package_knows_no_hall_by_name() -> None:
    texts = [path for path in PACKAGE.rglob("*") if path.suffix in TEXTS]
    assert len(texts) > 20
    found = [
        f"{path.relative_to(PACKAGE)}:{number}: {line.strip()}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if HALLS.search(line.replace(PROGRAM, "") if path in FORMATS else line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line", ["for GlueX", "CLAS12's", "hall = 'Hall B'", "HallD", "at JLab", "the clas12mon files"]
)
def test_a_hall_would_be_found_by_its_name(line: str) -> None:
    assert HALLS.search(line)


@pytest.mark.parametrize("line", ["the hall A simulated", "Hall(name)", "a hall's units", "solid", "class12", "usbs"])
def test_an_innocent_line_is_no_hall(line: str) -> None:
    assert not HALLS.search(line)
