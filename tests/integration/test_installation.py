"""What `make install` puts onto a host: units that systemd understands and trusts, and a first configuration."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from hydrad import config

CHECKOUT = Path(__file__).parents[2]
ANALYZE = shutil.which("systemd-analyze")
UNITS = Path("usr/local/lib/systemd/system")
INSTALLED = {"hydrad.service", "hydrad@.service", "hydrad-web.service", "hydrad-web@.service", "hydrad-train@.service"}
INSTANCES = (
    "hydrad.service",
    "hydrad@D.service",
    "hydrad-web.service",
    "hydrad-web@D.service",
    "hydrad-train@CDC_x.service",
)
MOST_EXPOSED = 1.8


def make(target: str, root: Path, **variables: object) -> str:
    words = [f"{name}={value}" for name, value in {"DESTDIR": root, **variables}.items()]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "--silent", "-C", str(CHECKOUT), target, *words],
        check=False, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(root: Path) -> dict[str, str]:
    return {str(file.relative_to(root)): file.read_text() for file in root.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def analyze() -> str:
    if ANALYZE is None:
        if os.environ.get("CI"):
            pytest.fail("CI is set, and systemd-analyze is not installed (Debian: systemd)")
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    return ANALYZE


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A host with the units, something that can be executed where hydrad will be, and systemd's own targets."""
    root = tmp_path_factory.mktemp("root")
    make("install-units", root)
    for program in ("opt/hydrad/current/bin/hydrad", "bin/kill"):
        (root / program).parent.mkdir(parents=True)
        shutil.copy(shutil.which("true"), root / program)
    targets = next((f for f in (Path("/lib/systemd/system"), Path("/usr/lib/systemd/system")) if f.is_dir()), None)
    if targets is not None:
        (root / "lib/systemd/system").mkdir(parents=True)
        for target in targets.glob("*.target"):
            shutil.copy(target, root / "lib/systemd/system")
    return root


def test_each_unit_is_there_with_what_makes_its_account_and_folders(root: Path) -> None:
    assert {file.name for file in (root / UNITS).iterdir()} == INSTALLED
    assert (root / UNITS / "hydrad.service").read_text() == (root / UNITS / "hydrad@.service").read_text()
    for file in [*(root / UNITS).iterdir(), root / "usr/local/lib/sysusers.d/hydrad.conf"]:
        assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert "u hydrad " in (root / "usr/local/lib/sysusers.d/hydrad.conf").read_text()
    assert "d /var/lib/hydrad 0750 hydrad hydrad" in (root / "usr/local/lib/tmpfiles.d/hydrad.conf").read_text()


@pytest.mark.parametrize("unit", INSTANCES)
def test_systemd_finds_nothing_wrong_with_a_unit(analyze: str, root: Path, unit: str) -> None:
    found = subprocess.run(
        [analyze, "verify", "--man=no", f"--root={root}", unit], check=False, capture_output=True, text=True
    )
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


def test_systemd_would_find_it_if_something_were_wrong(analyze: str, root: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "root"
    shutil.copytree(root, wrong)
    unit = wrong / UNITS / "hydrad.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=60", "WatchdogSek=60"))
    verify = [analyze, "verify", "--man=no", f"--root={wrong}", "hydrad.service"]
    assert "WatchdogSek" in subprocess.run(verify, check=False, capture_output=True, text=True).stderr


@pytest.mark.parametrize("unit", sorted(INSTALLED))
def test_a_unit_exposes_no_more_than_it_must(analyze: str, root: Path, unit: str) -> None:
    found = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED * 10:.0f}", unit],
        cwd=root / UNITS,
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout
    assert "Overall exposure level" in found.stdout


def test_the_first_configuration_keeps_everything_in_the_state_folder(root: Path) -> None:
    first = config.load(root / "etc/hydrad/hydra.toml")
    home = Path("/var/lib/hydrad")
    assert first.store.url == "sqlite:////var/lib/hydrad/hydra.db"
    kept = (first.store.images, first.store.models, first.store.journal, first.web.cache)
    assert kept == (home / "images", home / "models", home / "journal.db", home / "cache")
    example = config.load(CHECKOUT / config.DEFAULT_PATH)
    store, web = (
        {"url": example.store.url, "images": example.store.images, "models": example.store.models,
         "journal": example.store.journal},
        {"cache": example.web.cache},
    )  # fmt: skip
    as_example = first.model_copy(
        update={"store": first.store.model_copy(update=store), "web": first.web.model_copy(update=web)}
    )
    assert as_example.model_copy(update={"watch": example.watch}) == example


def test_installing_again_changes_nothing_and_never_a_configuration(tmp_path: Path) -> None:
    make("install-units", tmp_path)
    settings = tmp_path / "etc/hydrad/hydra.toml"
    settings.write_text("[hall]\nname = 'ours'\n")
    before = files(tmp_path)
    make("install-units", tmp_path)
    assert files(tmp_path) == before


def test_another_prefix_is_in_every_unit(tmp_path: Path) -> None:
    make("install-units", tmp_path, PREFIX="/srv/hydrad", LIBDIR="/etc")
    for unit in (tmp_path / "etc/systemd/system").iterdir():
        assert "ExecStart=/srv/hydrad/current/bin/hydrad " in unit.read_text()
        assert "/opt/" not in unit.read_text()


def test_uninstalling_leaves_what_is_not_hydrads_programs(tmp_path: Path) -> None:
    make("install-units", tmp_path)
    release, ours = tmp_path / "opt/hydrad/0.1.0-abcdef01", tmp_path / "opt/hydrad/notes"
    release.mkdir(parents=True)
    (release / ".complete").touch()
    (release.parent / "current").symlink_to(release.name)
    ours.touch()
    said = make("uninstall", tmp_path)
    assert set(files(tmp_path)) == {"etc/hydrad/hydra.toml", "opt/hydrad/notes"}
    assert "/var/lib/hydrad" in said
    ours.unlink()
    make("uninstall", tmp_path)
    assert not (tmp_path / "opt/hydrad").exists()


def test_a_python_below_a_home_is_refused_since_services_cannot_see_it(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\nexec python3 -c \"import sys; sys.base_prefix = '/home/ana/.pyenv'; exec(sys.stdin.read())\"\n"
    )
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "--silent", "-C", str(CHECKOUT), "install", f"DESTDIR={tmp_path}/root", f"PYTHON={python}"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0
    assert "/home/ana/.pyenv" in done.stderr
    assert not (tmp_path / "root").exists()


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("systemd-tmpfiles") is None, reason="takes root, and systemd's own programs"
)
def test_systemd_makes_the_account_and_the_folders_as_they_are_described(tmp_path: Path) -> None:
    make("install-units", tmp_path)
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", "hydrad.conf"], check=True, capture_output=True)
    (account,) = [line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines() if "hydrad" in line]
    assert account[5] == "/var/lib/hydrad"
    assert account[6].endswith("/nologin")
    subprocess.run(
        ["systemd-tmpfiles", f"--root={tmp_path}", "--create", "hydrad.conf"], check=True, capture_output=True
    )
    state, credentials = (tmp_path / "var/lib/hydrad").stat(), (tmp_path / "etc/credstore").stat()
    assert (stat.S_IMODE(state.st_mode), str(state.st_uid)) == (0o750, account[2])
    assert (stat.S_IMODE(credentials.st_mode), credentials.st_uid) == (0o700, 0)


def test_what_a_service_reads_is_readable_whatever_roots_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        make("install-units", tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "etc/hydrad").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "etc/hydrad/hydra.toml").stat().st_mode) == 0o644
