"""etc/hydra.toml shows every key, and nothing that is not so."""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from hydrad import config
from hydrad.config import (
    Config,
    Detector,
    Emulate,
    EpicsBeam,
    FixedBeam,
    FixedClassify,
    Hall,
    Ioc,
    Models,
    PlotDefaults,
    Saving,
    Store,
    Symmetry,
    Train,
    Watch,
    Web,
)

EXAMPLE = Path(config.__file__).parents[1] / config.DEFAULT_PATH
LINES = EXAMPLE.read_text(encoding="utf-8").splitlines()
TABLES = {
    "hall": (Hall,),
    "store": (Store,),
    "ioc": (Ioc,),
    "beam": (EpicsBeam, FixedBeam),
    "classify": (Models, FixedClassify),
    "web": (Web,),
    "saving": (Saving,),
    "train": (Train,),
    "train.emulate": (Emulate,),
    "train.symmetry": (Symmetry,),
    "watch": (Watch,),
    "defaults": (PlotDefaults,),
    "detector": (Detector,),
}
OPTIONAL = ["train.emulate", "train.symmetry"]  # tables of which every line is commented out
HEADER = re.compile(r"(?:# )?\[+([\w.]+)\]+")
OF_THE_EXAMPLE_HALL = {  # shown with a value that is not the schema's default
    ("hall", "timezone"),
    ("beam", "pv"),
    ("watch", "root"),
    ("watch", "layout"),
    ("watch", "ignore"),
    ("detector", "name"),
    ("detector", "plots"),
    ("detector", "expert"),
    ("detector", "guidance"),
    ("train.emulate", "fault"),
    ("train.symmetry", "plots"),
    ("train.symmetry", "valid"),
}
COMPANIONS = {  # what else must stand there, or must not (None), when a commented key is used
    ("store", "password_file"): {"store": {"password_file": __file__}},
    ("beam", "permit_pv"): {"beam": {"permit_value": 6}},
    ("beam", "permit_value"): {"beam": {"permit_pv": "PLC_HLD"}},
    ("beam", "current"): {
        "beam": {"kind": "fixed", "pv": None, "off_below": None, "stale_s": None},
    },
    ("classify", "scores"): {"classify": {"kind": "fixed"}},
    ("watch", "pattern"): {"watch": {"layout": None}},
    ("watch", "time_format"): {"watch": {"layout": None, "pattern": r"(?P<plot>\w+)_(?P<time>\d{8}-\d{6})\.png"}},
}


def keys():
    """(table, key, value, commented) of every line that sets a key or shows how."""
    table = ""
    for line in LINES:
        if header := HEADER.match(line):
            table = header[1]
        elif setting := re.match(r"(# )?(\w+ = .+)", line):
            [(key, value)] = tomllib.loads(setting[2]).items()
            yield table, key, value, setting[1] is not None


def the(table, document):
    """A table of the document, or the first of a list of them."""
    found = document[table]
    return found[0] if isinstance(found, list) else found


def test_the_example_loads(tmp_path):
    copy = tmp_path / "hydra.toml"
    copy.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    loaded = config.load(copy)
    assert loaded.hall.name == "D"
    assert loaded.detector_of("CDC_occupancy") == "CDC"
    assert loaded.watch[0].layout == "rsai"


def test_the_tables_stand_in_the_order_of_the_schema():
    headers = [found[1] for line in LINES if (found := HEADER.match(line))]
    assert headers == list(TABLES)
    assert [header for header in headers if "." not in header] == list(Config.model_fields)


@pytest.mark.parametrize("table", TABLES)
def test_every_key_stands_in_its_table_once_and_no_other(table):
    shown = [key for name, key, _, _ in keys() if name == table]
    below = {name.rpartition(".")[2] for name in TABLES if name.startswith(f"{table}.")}
    assert sorted(shown) == sorted({key for section in TABLES[table] for key in section.model_fields} - below)


@pytest.mark.parametrize(("table", "key", "value", "commented"), list(keys()))
def test_defaults_are_told_truly(table, key, value, commented):
    [section, *others] = [section for section in TABLES[table] if key in section.model_fields]
    default = section.model_fields[key].default
    if (table, key) in OF_THE_EXAMPLE_HALL:
        assert default != value
        assert commented == (table in OPTIONAL)
    elif default is None:
        assert commented
    else:
        assert default is not PydanticUndefined
        written = tuple(value) if isinstance(value, list) else value
        assert (str(default) if isinstance(default, Path) else default) == written
    assert not others or key == "kind" or all(other.model_fields[key].default == default for other in others)


def test_a_commented_key_is_optional():
    with pytest.raises(ValidationError, match="pv"):
        EpicsBeam()
    with pytest.raises(ValidationError, match="root"):
        Watch(layout="rsai")
    with pytest.raises(ValidationError, match="name"):
        Detector()


@pytest.mark.parametrize(
    ("table", "key", "value"), [(t, k, v) for t, k, v, commented in keys() if commented and t not in OPTIONAL]
)
def test_a_commented_key_may_be_used_as_it_stands(table, key, value, tmp_path):
    document = tomllib.loads("\n".join(LINES))
    assert key not in the(table, document)
    the(table, document)[key] = value
    for name, settings in COMPANIONS.get((table, key), {}).items():
        the(name, document).update(settings)
    for name in [name for name in TABLES if name not in OPTIONAL]:
        for absent in [k for k, v in the(name, document).items() if v is None]:
            del the(name, document)[absent]
    loaded = getattr(config.read(document, tmp_path), table)
    loaded = loaded[0] if isinstance(loaded, tuple) else loaded
    assert getattr(loaded, key) is not None


@pytest.mark.parametrize("table", OPTIONAL)
def test_a_commented_table_may_be_used_as_it_stands(table, tmp_path):
    lines = [f"[[{table}]]", *(line.removeprefix("# ") for line in _lines_of(table) if line)]
    parent, _, name = table.partition(".")
    document = tomllib.loads("\n".join(LINES))
    assert name not in document[parent]
    document[parent] |= tomllib.loads("\n".join(lines))[parent]
    [loaded] = getattr(getattr(config.read(document, tmp_path), parent), name)
    assert loaded.model_fields_set == {key for section in TABLES[table] for key in section.model_fields}


@pytest.mark.parametrize(("table", "key", "value"), [(t, k, v) for t, k, v, _ in keys()])
def test_every_key_says_what_it_is(table, key, value):
    """A comment behind it, or above it for a group of keys; a number of a physical quantity names its unit."""
    [line] = [line for line in _lines_of(table) if re.match(rf"(# )?{key} = ", line)]
    if (table, key) in {("detector", "stale_s"), ("detector", "on_delay"), ("detector", "off_delay")}:
        return  # explained at [defaults]
    assert "  # " in line
    unit = {"_s": "s;", "_ms": "ms;", "_h": "h;"}.get(re.search(r"(_s|_ms|_h)?$", key)[0])
    if unit is not None:
        assert f"# {unit} " in line
    assert value is not None


def _lines_of(table):
    at = next(n for n, line in enumerate(LINES) if (found := HEADER.match(line)) and found[1] == table)
    rest = LINES[at + 1 :]
    end = next((n for n, line in enumerate(rest) if HEADER.match(line)), len(rest))
    return rest[:end]


def test_no_line_is_too_wide_to_read():
    assert all(len(line) <= 120 for line in LINES)
