"""What the how-to about the counting-house host names is there: units, paths, verbs, targets, keys, sentences."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from hydrad import cli, config

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs/how-to/counting-house-host.md").read_text(encoding="utf-8")
CODE = "\n".join(re.findall(r"```\w*\n(.*?)```", PAGE, re.DOTALL) + re.findall(r"`([^`\n]+)`", PAGE))
UNITS = {"hydrad", "hydrad@", "hydrad-web", "hydrad-web@", "hydrad-train@"}
INSTALL = (CHECKOUT / "scripts/install").read_text(encoding="utf-8")
MADE = "\n".join(file.read_text(encoding="utf-8") for file in (CHECKOUT / "systemd").iterdir()) + INSTALL
OTHERS = (
    "/usr/bin/python3",
    "/dev/stdin",
    "/etc/sysctl.d/",
    "/home",
    "/root",
    "/media/stick/wheels",
    "/usr/sbin/nologin",
)  # the system's


def found(pattern: str, text: str = CODE) -> list[str]:
    return sorted({match if isinstance(match, str) else match[0] for match in re.findall(pattern, text)})


def named_units() -> list[str]:
    words = found(r"systemctl (?:edit|enable --now|start|stop|restart|reload|status) ([a-z@D -]+?)(?:$|\s*#|\n|`|\s\s)")
    return sorted({word for group in words for word in group.split()} | set(found(r"(hydrad[\w@-]*)\.service")))


@pytest.mark.parametrize("unit", named_units())
def test_a_unit_that_it_names_is_installed(unit: str) -> None:
    template = re.sub(r"@.+", "@", unit)
    assert template in UNITS
    source = template if template.startswith("hydrad-train") else template.removesuffix("@")
    assert (CHECKOUT / "systemd" / f"{source}.service").is_file()


def test_what_it_says_of_units_was_found() -> None:
    assert {"hydrad", "hydrad-web", "hydrad@D", "hydrad-web@D", "hydrad-train@"} <= set(named_units())


@pytest.mark.parametrize("path", found(r"(?<![\w.:$-])(/(?:etc|opt|usr|var|dev|home|root|media|run)[\w./@-]*)"))
def test_a_path_that_it_names_is_one_that_hydrad_makes_or_the_systems(path: str) -> None:
    if path.startswith(OTHERS):
        return
    path = path.replace("/etc/hydrad/D", "/etc/hydrad").replace("/var/lib/hydrad/D", "/var/lib/hydrad").rstrip("/")
    known = {"/etc/hydrad/hydra.toml", "/usr/local/bin", "/usr/local/lib/systemd/system", "/opt/hydrad/current"}
    known |= {f"/var/lib/hydrad/{name}" for name in ("images", "models", "cache", "hydra.db")}
    known |= {f"/etc/credstore/{name}" for name in ("hydrad.db-password",)}
    assert path in known or path in MADE
    assert "BINDIR:=/usr/local/bin" in INSTALL
    assert "LIBDIR:=/usr/local/lib" in INSTALL


@pytest.mark.parametrize("line", found(r"(?:^|\n|\$ ?|=… )(hydrad (?!hydrad-)[a-z][^\n`#|]*)"))
def test_a_verb_that_it_names_can_be_asked_for(line: str) -> None:
    words = line.replace("…", "").split()[1:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("argparse.ArgumentParser.error", _unless_words_are_missing)
        cli.parser().parse_args(words)


def _unless_words_are_missing(_parser: object, message: str) -> None:
    assert "required" in message or "expected one argument" in message, message


@pytest.mark.parametrize("target", found(r"make ([a-z][\w-]*)"))
def test_a_target_that_it_names_can_be_made(target: str) -> None:
    assert re.search(rf"^{target}:", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("key", found(r"(?m)^((?:hall|ioc|web|beam|store|train)\.[a-z_]+)(?= |$)"))
def test_a_key_that_it_names_is_in_the_configuration(key: str) -> None:
    section, _, name = key.partition(".")
    example = (CHECKOUT / config.DEFAULT_PATH).read_text(encoding="utf-8")
    body = example.split(f"[{section}]", 1)[1].split("\n[", 1)[0]
    assert re.search(rf"^(# )?{name} = ", body, re.MULTILINE)
    assert tomllib.loads(example)


@pytest.mark.parametrize("credential", found(r"`(hydrad[\w@-]*\.[a-z]+-password)`", PAGE))
def test_a_password_file_that_it_names_is_read_by_a_unit(credential: str) -> None:
    unit, _, what = credential.partition(".")
    source = re.sub(r"@.*", "", unit)
    file = CHECKOUT / "systemd" / (f"{source}@.service" if source == "hydrad-train" else f"{source}.service")
    assert re.search(rf"^LoadCredential=hydrad-{what}:%[Np]\.{what}$", file.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize(
    ("sentence", "module"),
    [
        ("is another IOC running here?", "ioc/channel_access.py"),
        ("no sign of life from", "pulse.py"),
        ("files wait, and none was judged", "pulse.py"),
        ("the data base does not answer", "app.py"),
        ("a restart is needed for", "reload.py"),
        ("the new configuration is refused", "reload.py"),
        ("loading the model", "app.py"),
    ],
)
def test_a_sentence_that_it_quotes_is_one_that_hydrad_says(sentence: str, module: str) -> None:
    assert sentence in " ".join(PAGE.split())
    assert sentence in (CHECKOUT / "hydrad" / module).read_text(encoding="utf-8")


def test_readers_of_the_readme_find_it() -> None:
    assert "docs/how-to/counting-house-host.md" in (CHECKOUT / "README.md").read_text(encoding="utf-8")
