"""hydra.toml as frozen types: what it may say, and every fault of it named at once."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from hydrad import password, refusals, texts
from hydrad.domain import Rules
from hydrad.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

DEFAULT_PATH = Path("etc/hydra.toml")

Flag = Annotated[bool, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Count = Annotated[int, Field(strict=True, ge=1, le=1000)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Text = Annotated[str, Field(min_length=1)]
Share = Annotated[Number, Field(ge=0, le=1)]
Side = Annotated[int, Field(strict=True, ge=16, le=2048)]


class Section(BaseModel):
    """A table of the file: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Hall(Section):
    """Which hall this is."""

    name: str = Field(default="D", min_length=1, max_length=40)
    timezone: Annotated[str, AfterValidator(texts.time_zone)] = "UTC"

    @property
    def zone(self) -> ZoneInfo:
        """The time zone that producers' names are written in."""
        return ZoneInfo(self.timezone)


class Store(Section):
    """Where verdicts, images and models are kept."""

    url: Annotated[str, AfterValidator(texts.store_url)] = "sqlite:///hydra.db"
    password_file: Path | None = None
    images: Path = Path("images")
    models: Path = Path("models")
    journal: Path = Path("journal.db")
    keep_all_h: NotNegative = 24


class Ioc(Section):
    """The PVs and who may put to them."""

    prefix: str = Field(default="HYDRA:D:", pattern=r"^[A-Z0-9_:]{1,20}$")
    interfaces: tuple[Text, ...] = Field(default=("127.0.0.1",), min_length=1)
    port: Port = 5064
    writers: tuple[str, ...] = ("*@*",)
    mirror: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_:]{1,40}$")


class EpicsBeam(Section):
    """The beam current as EPICS has it."""

    kind: Literal["epics"] = "epics"
    pv: Annotated[tuple[Text, ...], Field(min_length=1), BeforeValidator(lambda v: (v,) if isinstance(v, str) else v)]
    units: str = "nA"
    on_above: Positive = 5.0
    off_below: NotNegative = Field(default=3.0, validate_default=True)
    noise_above: Positive | None = None
    permit_pv: Text | None = None
    permit_value: Number | None = Field(default=None, validate_default=True)
    window_s: Positive = 30
    stale_s: Positive = 40

    @field_validator("off_below")
    @classmethod
    def _off_below_on(cls, value: float, others: ValidationInfo) -> float:
        if value > others.data.get("on_above", value):
            raise ValueError(f"{value:g} is above on_above")
        return value

    @field_validator("noise_above")
    @classmethod
    def _noise_above_on(cls, value: float | None, others: ValidationInfo) -> float | None:
        if value is not None and value <= others.data.get("on_above", 0):
            raise ValueError(f"{value:g} is not above on_above")
        return value

    @field_validator("permit_value")
    @classmethod
    def _permit_whole(cls, value: float | None, others: ValidationInfo) -> float | None:
        if "permit_pv" in others.data and (others.data["permit_pv"] is None) != (value is None):
            raise ValueError("permit_pv and permit_value go together")
        return value


class FixedBeam(Section):
    """A beam that never changes, for tests and benches."""

    kind: Literal["fixed"] = "fixed"
    current: NotNegative = 100.0
    units: str = "nA"
    on_above: Positive = 5.0
    window_s: Positive = 30


def _by_kind(**tags: str) -> Discriminator:
    """Choose a union's member by its key ``kind``; the first tag is that of a table that does not say."""
    default = next(iter(tags))

    def read(value: Any) -> str | None:
        kind = value.get("kind", default) if isinstance(value, Mapping) else getattr(value, "kind", default)
        return tags.get(kind) if isinstance(kind, str) else None

    return Discriminator(
        read,
        custom_error_type="unknown_kind",
        custom_error_message=f"kind is none of {', '.join(tags)}",
    )


BeamSection = Annotated[
    Annotated[EpicsBeam, Tag("epics")] | Annotated[FixedBeam, Tag("fixed")],
    _by_kind(epics="epics", fixed="fixed"),
]


Batch = Annotated[int, Field(strict=True, ge=1, le=1024)]
Wait = Annotated[NotNegative, Field(le=1000)]


class Models(Section):
    """Trained bundles, computed by Keras."""

    kind: Literal["auto", "keras"] = "auto"
    batch: Batch = 32
    max_wait_ms: Wait = 20


class FixedClassify(Section):
    """The same answer for every image, for tests and benches."""

    kind: Literal["fixed"] = "fixed"
    scores: Mapping[str, Annotated[NotNegative, Field(le=1)]] = Field(
        default={"Good": 0.98, "Bad": 0.01, "NoData": 0.01}, min_length=1
    )
    batch: Batch = 32
    max_wait_ms: Wait = 20


ClassifySection = Annotated[
    Annotated[Models, Tag("models")] | Annotated[FixedClassify, Tag("fixed")],
    _by_kind(auto="models", keras="models", fixed="fixed"),
]


class Web(Section):
    """The pages."""

    auth: Literal["none", "local", "proxy"] = "none"
    host: str = "127.0.0.1"
    port: Port = 8000


class Watch(Section):
    """One folder that a producer writes to."""

    kind: Literal["auto", "inotify", "polling"] = "auto"
    root: Path
    layout: Literal["rsai", "mon12", "panguin", "plain"] | None = None
    pattern: Annotated[str, AfterValidator(texts.pattern)] | None = Field(default=None, validate_default=True)
    time_format: Annotated[str, AfterValidator(texts.time_format)] | None = Field(default=None, validate_default=True)
    ignore: tuple[str, ...] = ("tmp_canvas_*",)
    settle_ms: Positive = 200
    patience_s: Positive = 30
    rescan_s: Positive = 10

    @field_validator("pattern")
    @classmethod
    def _one_way_to_read_names(cls, value: str | None, others: ValidationInfo) -> str | None:
        if "layout" in others.data and (others.data["layout"] is None) == (value is None):
            raise ValueError("either layout or pattern must stand here, and not both")
        return value

    @field_validator("time_format")
    @classmethod
    def _one_time(cls, value: str | None, others: ValidationInfo) -> str | None:
        if "pattern" not in others.data:
            return value
        timed = "time" in re.compile(others.data["pattern"] or "").groupindex
        if timed != (value is not None):
            raise ValueError("a pattern's group 'time' and time_format go together")
        return value


class PlotDefaults(Section):
    """How plots are judged where nothing else is said."""

    needs_beam: Flag = True
    stale_s: Positive = 120
    on_delay: Count = 2
    off_delay: Count = 2


class Detector(Section):
    """A subsystem: its plots, whom to call, what to do, and where its plots differ from the defaults."""

    name: str = Field(min_length=1, max_length=40)
    plots: tuple[str, ...] = ()
    expert: str = ""
    guidance: str = ""
    needs_beam: Flag | None = None
    stale_s: Positive | None = None
    on_delay: Count | None = None
    off_delay: Count | None = None

    def claims(self, plot: str) -> bool:
        """True if one of the patterns fits; without patterns, those named after the detector."""
        patterns = self.plots or (self.name, f"{self.name}_*")
        return any(fnmatchcase(plot, pattern) for pattern in patterns)


class Saving(Section):
    """How many of the images that nobody labelled and nothing is wrong with stay after ``store.keep_all_h``."""

    share: Share = 1.0  # of a plot without labels
    half_at: Annotated[int, Field(strict=True, ge=1)] = 300  # labels of a plot at which half of that share is kept
    least: Share = 0.01  # never fewer


class Emulate(Section):
    """A fault to be put into good images, so that a network learns it before the detector shows it."""

    fault: Literal[
        "dead_region", "hot_channels", "shifted_peak", "broadened_peak", "lost_statistics", "noise", "missing_panel"
    ]
    plots: Annotated[tuple[Text, ...], Field(min_length=1)] = ("*",)
    label: Text = "Bad"
    share: Positive = 0.5  # images made, per good image of the plot
    weight: Positive = 1.0  # in training, beside 1 of an image that was taken
    map: Path | None = None  # a picture of the plot in which each region has its own colour
    boxes: tuple[tuple[Share, Share, Share, Share], ...] = ()  # left, top, right, bottom
    most: Annotated[int, Field(strict=True, ge=1, le=100)] = 1  # regions struck at once, at most


class Symmetry(Section):
    """What may be done to the images of some plots without changing what they show."""

    plots: Annotated[tuple[Text, ...], Field(min_length=1)]
    valid: Annotated[tuple[Literal["flip_x", "flip_y", "rotate_180", "rotate_90"], ...], Field(min_length=1)]


class Train(Section):
    """How models are trained where the command line says nothing else."""

    architecture: Text = "plain"
    weights: Path | None = None
    width: Side = 192
    height: Side = 128
    epochs: Count = 15
    batch: Batch = 32
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**31)] = 1
    good_share: Annotated[Share, Field(gt=0)] = 1.0
    hold_out: Literal["auto", "run", "plot", "image"] = "auto"
    few: Count = 10
    precision: Literal["auto", "float32", "mixed"] = "auto"
    shift: Annotated[Number, Field(ge=0, le=0.2)] = 0.0
    scale: Annotated[Number, Field(ge=0, le=0.2)] = 0.0
    contrast: Share = 0.0
    rim: Annotated[Number, Field(ge=0, le=0.2)] = 0.0
    colours: Share = 0.0
    threads: Annotated[int, Field(strict=True, ge=0, le=256)] = 0
    memory_gb: Positive = 8
    emulate: tuple[Emulate, ...] = ()
    symmetry: tuple[Symmetry, ...] = ()


def _once(names: Sequence[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(twice)} stands there twice")


class Config(Section):
    """The whole file."""

    hall: Hall = Hall()
    store: Store = Store()
    ioc: Ioc = Ioc()
    beam: BeamSection
    classify: ClassifySection = Models()
    web: Web = Web()
    saving: Saving = Saving()
    train: Train = Train()
    watch: tuple[Watch, ...] = ()
    defaults: PlotDefaults = PlotDefaults()
    detector: tuple[Detector, ...] = ()

    @field_validator("watch")
    @classmethod
    def _roots_once(cls, watches: tuple[Watch, ...]) -> tuple[Watch, ...]:
        _once([str(watch.root) for watch in watches])
        return watches

    @field_validator("detector")
    @classmethod
    def _names_once(cls, detectors: tuple[Detector, ...]) -> tuple[Detector, ...]:
        _once([detector.name for detector in detectors])
        return detectors

    def detector_of(self, plot: str) -> str:
        """The detector a plot belongs to: the first that claims it, else the name up to its first ``_``."""
        return self.rules_of(plot).detector

    def rules_of(self, plot: str) -> Rules:
        """How this file wants a plot judged; thresholds are the model's affair."""
        values = {name: getattr(self.defaults, name) for name in PlotDefaults.model_fields}
        section = next((detector for detector in self.detector if detector.claims(plot)), None)
        if section is None:
            return Rules(detector=plot.split("_", 1)[0] or plot, **values)
        values |= {name: value for name in values if (value := getattr(section, name)) is not None}
        return Rules(detector=section.name, **values)

    def store_url(self) -> URL:
        """The data base's URL with its password, which comes from a file, a systemd credential or the environment."""
        from sqlalchemy.engine import make_url  # noqa: PLC0415  most verbs never open the data base

        url = make_url(self.store.url)
        if self.store.url.startswith(texts.SQLITE):
            return url
        secret = password.find(self.store.password_file)
        return url if secret is None else url.set(password=secret)


UNIONS = {"beam": frozenset({"epics", "fixed"}), "classify": frozenset({"models", "fixed"})}


def find(path: Path | None) -> Path:
    """The file to read: the one named, else ``$HYDRA_CONFIG``, else etc/hydra.toml."""
    return path or Path(os.environ.get("HYDRA_CONFIG") or DEFAULT_PATH)


def load(path: Path, *, folders: bool = False) -> Config:
    """Read hydra.toml; relative paths in it count from the folder it lies in.

    Args:
        folders: also require the watched folders to be there, as ``run`` does.

    Raises:
        ConfigurationError: with one sentence per fault, all of them at once.
    """
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except OSError as fault:
        raise ConfigurationError(f"{path}: {fault.strerror or fault}") from fault
    except ValueError as fault:  # no TOML, no UTF-8, or a number of more than 4300 digits
        raise ConfigurationError(f"{path}: is no TOML: {fault}") from fault
    except RecursionError as fault:
        raise ConfigurationError(f"{path}: lists or tables lie too deep in each other") from fault
    return read(document, path.resolve().parent, folders=folders)


def read(document: Mapping[str, Any], home: Path, *, folders: bool = False) -> Config:
    """A configuration from an already parsed document; see :func:`load`."""
    faults = _missing(document, home, folders=folders)
    try:
        config = Config.model_validate(document)
    except ValidationError as fault:
        raise ConfigurationError(*refusals.sentences(fault, unions=UNIONS), *faults) from fault
    if faults:
        raise ConfigurationError(*faults)
    return _anchored(config, home)


def _anchored(config: Config, home: Path) -> Config:
    store = config.store
    url = store.url
    if url.startswith(texts.SQLITE):
        url = f"{texts.SQLITE}{home / url.removeprefix(texts.SQLITE)}"
    kept = store.model_copy(
        update={
            "url": url,
            "images": home / store.images,
            "models": home / store.models,
            "journal": home / store.journal,
            "password_file": None if store.password_file is None else home / store.password_file,
        }
    )
    watches = tuple(watch.model_copy(update={"root": home / watch.root}) for watch in config.watch)
    train = config.train.model_copy(
        update={
            "weights": None if config.train.weights is None else home / config.train.weights,
            "emulate": tuple(
                one if one.map is None else one.model_copy(update={"map": home / one.map})
                for one in config.train.emulate
            ),
        }
    )
    return config.model_copy(update={"store": kept, "watch": watches, "train": train})


def _missing(document: Mapping[str, Any], home: Path, *, folders: bool) -> list[str]:
    # Asked of the document, not of a Config: what is missing is named even where other keys are wrong.
    faults = []
    store = document.get("store")
    file = store.get("password_file") if isinstance(store, Mapping) else None
    if isinstance(file, str | Path) and not (_allows(home / file, os.R_OK) and (home / file).is_file()):
        faults.append(f"store.password_file: {home / file} is no file that can be read")
    watches = document.get("watch") if folders else None
    for n, watch in enumerate(watches if isinstance(watches, Sequence) else ()):
        root = watch.get("root") if isinstance(watch, Mapping) else None
        if isinstance(root, str | Path) and not (_allows(home / root, os.R_OK | os.X_OK) and (home / root).is_dir()):
            faults.append(f"watch[{n}].root: {home / root} is no folder that can be read")
    return faults


def _allows(path: Path, mode: int) -> bool:
    try:
        return os.access(path, mode)
    except ValueError:  # a NUL in its name
        return False
