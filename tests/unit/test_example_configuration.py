"""etc/hydra.toml shows every key, and nothing that is not so."""

import re
import tomllib
from operator import attrgetter
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from hydrad import config
from hydrad.config import (
    Canary,
    Config,
    Detector,
    Elog,
    Emulate,
    EpicsBeam,
    EpicsRun,
    FixedBeam,
    FixedClassify,
    Hall,
    Ioc,
    Mail,
    MirrorLimits,
    Models,
    NoLogbook,
    Olog,
    PathRun,
    PlotDefaults,
    Saving,
    Store,
    Symmetry,
    Train,
    Watch,
    Web,
    WritersOf,
)

EXAMPLE = Path(__file__).parents[2] / config.DEFAULT_PATH
LINES = EXAMPLE.read_text(encoding="utf-8").splitlines()
TABLES = {
    "hall": (Hall,),
    "store": (Store,),
    "ioc": (Ioc,),
    "ioc.writers_of": (WritersOf,),
    "ioc.mirror_limits": (MirrorLimits,),
    "beam": (EpicsBeam, FixedBeam),
    "run": (PathRun, EpicsRun),
    "classify": (Models, FixedClassify),
    "web": (Web,),
    "logbook": (NoLogbook, Olog, Elog),
    "mail": (Mail,),
    "saving": (Saving,),
    "canary": (Canary,),
    "train": (Train,),
    "train.emulate": (Emulate,),
    "train.symmetry": (Symmetry,),
    "watch": (Watch,),
    "defaults": (PlotDefaults,),
    "detector": (Detector,),
}
OPTIONAL = ["mail", "train.emulate", "train.symmetry"]  # tables of which every line is commented out
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
    ("logbook", "url"),
    ("logbook", "logbooks"),
    ("logbook", "tags"),
    ("logbook", "folder"),
    ("run", "number_pv"),
    ("run", "state_pv"),
    ("run", "type_pv"),
    ("mail", "host"),
    ("mail", "sender"),
    ("train.emulate", "fault"),
    ("train.symmetry", "plots"),
    ("train.symmetry", "valid"),
}
RUN = {"run": {"kind": "epics", "number_pv": "B_DAQ:run_number"}}
OLOG = {"logbook": {"kind": "olog", "url": "https://olog.example/Olog", "logbooks": ["Operations"]}}
COMPANIONS = {  # what else must stand there, or must not (None), when a commented key is used
    ("store", "password_file"): {"store": {"password_file": "secret"}},
    ("beam", "permit_pv"): {"beam": {"permit_value": 6}},
    ("beam", "permit_value"): {"beam": {"permit_pv": "PLC_HLD"}},
    ("beam", "current"): {
        "beam": {"kind": "fixed", "pv": None, "off_below": None, "stale_s": None},
    },
    **{("run", key): RUN for key in EpicsRun.model_fields if key != "kind"},
    ("classify", "scores"): {"classify": {"kind": "fixed"}},
    ("web", "certificate"): {"web": {"certificate": __file__, "key": "secret"}},
    ("web", "key"): {"web": {"certificate": __file__, "key": "secret"}},
    ("logbook", "url"): OLOG,
    ("logbook", "logbooks"): OLOG,
    ("logbook", "tags"): OLOG,
    ("logbook", "level"): OLOG,
    ("logbook", "user"): OLOG,
    ("logbook", "password_file"): {"logbook": {**OLOG["logbook"], "password_file": "secret"}},
    ("logbook", "folder"): {"logbook": {"kind": "elog", "logbooks": ["Operations"]}},
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
    for name in table.split("."):
        document = document[name]
    return document[0] if isinstance(document, list) else document


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
        assert commented == (table in OPTIONAL or key not in TABLES[table][0].model_fields)
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
    (tmp_path / "secret").touch(mode=0o600)
    document = tomllib.loads("\n".join(LINES))
    assert key not in the(table, document)
    the(table, document)[key] = value
    for name, settings in COMPANIONS.get((table, key), {}).items():
        the(name, document).update(settings)
    for name in [name for name in TABLES if name not in OPTIONAL]:
        for absent in [k for k, v in the(name, document).items() if v is None]:
            del the(name, document)[absent]
    loaded = attrgetter(table)(config.read(document, tmp_path))
    loaded = loaded[0] if isinstance(loaded, tuple) else loaded
    assert getattr(loaded, key) is not None


@pytest.mark.parametrize("table", OPTIONAL)
def test_a_commented_table_may_be_used_as_it_stands(table, tmp_path):
    parent, _, name = table.rpartition(".")
    header = f"[[{table}]]" if parent else f"[{table}]"
    told = tomllib.loads("\n".join([header, *(line.removeprefix("# ") for line in _lines_of(table) if line)]))
    document = tomllib.loads("\n".join(LINES))
    held, told = (document[parent], told[parent]) if parent else (document, told)
    assert name not in held
    held |= told
    (tmp_path / "mail.password").write_text("x", encoding="utf-8")
    (tmp_path / "mail.password").chmod(0o600)
    loaded = config.read(document, tmp_path)
    loaded = getattr(getattr(loaded, parent) if parent else loaded, name)
    loaded = loaded[0] if isinstance(loaded, tuple) else loaded
    assert loaded.model_fields_set == {key for section in TABLES[table] for key in section.model_fields}


@pytest.mark.parametrize(("table", "key", "value"), [(t, k, v) for t, k, v, _ in keys()])
def test_every_key_says_what_it_is(table, key, value):
    """A comment behind it, or above it for a group of keys; a number of a physical quantity names its unit."""
    [line] = [line for line in _lines_of(table) if re.match(rf"(# )?{key} = ", line)]
    if table == "detector" and key in set(PlotDefaults.model_fields) - {"needs_beam"}:
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
