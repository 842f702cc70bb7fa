"""hydra.toml as frozen types: what it may say, and every fault of it named at once."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import urlsplit
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
    model_validator,
)

from hydrad.domain import Rules
from hydrad.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

DEFAULT_PATH = Path("etc/hydra.toml")
PASSWORD_CREDENTIAL = "hydrad-db-password"  # noqa: S105  the name of a systemd credential, not a password
PASSWORD_ENVIRONMENT = "HYDRA_DB_PASSWORD"  # noqa: S105  likewise

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1000)]
LAYOUTS = ("rsai", "mon12", "panguin", "plain")


class Section(BaseModel):
    """A table of the file: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as fault:
        raise ValueError(f"{name!r} is no time zone of the IANA data base, e.g. 'America/New_York'") from fault
    return name


class Hall(Section):
    """Which hall this is."""

    name: str = Field(default="D", min_length=1, max_length=40)
    timezone: Annotated[str, AfterValidator(_time_zone)] = "UTC"

    @property
    def zone(self) -> ZoneInfo:
        """The time zone that producers' names are written in."""
        return ZoneInfo(self.timezone)


SQLITE = "sqlite:///"
SERVERS = ("mysql+mysqldb", "mariadb+mysqldb")


def _store_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        password, host, _ = parts.password, parts.hostname, parts.port
    except ValueError as fault:
        raise ValueError(f"is no data-base URL: {fault}") from fault
    if password is not None:
        raise ValueError("a password never stands here: use password_file, a systemd credential or the environment")
    embedded = text.startswith(SQLITE) and len(text) > len(SQLITE)
    served = parts.scheme in SERVERS and host and parts.path.strip("/")
    if not embedded and not served:
        raise ValueError("is no data-base URL, e.g. 'sqlite:///hydra.db' or 'mysql+mysqldb://hydra@localhost/hydra'")
    return text


class Store(Section):
    """Where verdicts, images and models are kept."""

    url: Annotated[str, AfterValidator(_store_url)] = "sqlite:///hydra.db"
    password_file: Path | None = None
    images: Path = Path("images")
    models: Path = Path("models")
    journal: Path = Path("journal.db")
    keep_all_h: NotNegative = 24


class Ioc(Section):
    """The PVs and who may put to them."""

    prefix: str = Field(default="HYDRA:D:", pattern=r"^[A-Z0-9_:]{1,20}$")
    interfaces: tuple[str, ...] = Field(default=("127.0.0.1",), min_length=1)
    port: int = Field(default=5064, ge=1, le=65535)
    writers: tuple[str, ...] = ("*@*",)
    mirror: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_:]{1,40}$")


class EpicsBeam(Section):
    """The beam current as EPICS has it."""

    kind: Literal["epics"] = "epics"
    pv: Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(lambda v: (v,) if isinstance(v, str) else v)]
    units: str = "nA"
    on_above: Positive = 5.0
    off_below: NotNegative = 3.0
    noise_above: Positive | None = None
    permit_pv: str | None = Field(default=None, min_length=1)
    permit_value: float | None = None
    window_s: Positive = 30
    stale_s: Positive = 40

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.off_below > self.on_above:
            raise ValueError("off_below must not be above on_above")
        if self.noise_above is not None and self.noise_above <= self.on_above:
            raise ValueError("noise_above must be above on_above")
        if (self.permit_pv is None) != (self.permit_value is None):
            raise ValueError("permit_pv and permit_value go together")
        return self


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
        return tags.get(str(kind))

    return Discriminator(
        read,
        custom_error_type="unknown_kind",
        custom_error_message=f"kind is none of {', '.join(tags)}",
    )


BeamSection = Annotated[
    Annotated[EpicsBeam, Tag("epics")] | Annotated[FixedBeam, Tag("fixed")],
    _by_kind(epics="epics", fixed="fixed"),
]


class Models(Section):
    """Trained bundles, computed by Keras."""

    kind: Literal["auto", "keras"] = "auto"
    batch: int = Field(default=32, ge=1, le=1024)
    max_wait_ms: float = Field(default=20, ge=0, le=1000)


class FixedClassify(Section):
    """The same answer for every image, for tests and benches."""

    kind: Literal["fixed"] = "fixed"
    scores: Mapping[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default={"Good": 0.98, "Bad": 0.01, "NoData": 0.01}, min_length=1
    )
    batch: int = Field(default=32, ge=1, le=1024)
    max_wait_ms: float = Field(default=20, ge=0, le=1000)


ClassifySection = Annotated[
    Annotated[Models, Tag("models")] | Annotated[FixedClassify, Tag("fixed")],
    _by_kind(auto="models", keras="models", fixed="fixed"),
]


class Web(Section):
    """The pages."""

    auth: Literal["none", "local", "proxy"] = "none"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)


def _pattern(text: str) -> str:
    try:
        groups = re.compile(text).groupindex
    except re.error as fault:
        raise ValueError(f"is no regular expression: {fault}") from fault
    if "plot" not in groups:
        raise ValueError("needs a group (?P<plot>…)")
    if unknown := set(groups) - {"plot", "run", "chunk", "time"}:
        raise ValueError(f"knows no group {', '.join(sorted(unknown))}; groups are plot, run, chunk, time")
    return text


class Watch(Section):
    """One folder that a producer writes to."""

    kind: Literal["auto", "inotify", "polling"] = "auto"
    root: Path
    layout: Literal["rsai", "mon12", "panguin", "plain"] | None = None
    pattern: Annotated[str, AfterValidator(_pattern)] | None = None
    time_format: str | None = None
    ignore: tuple[str, ...] = ("tmp_canvas_*",)
    settle_ms: Positive = 200
    patience_s: Positive = 30
    rescan_s: Positive = 10

    @model_validator(mode="after")
    def _one_way_to_read_names(self) -> Self:
        if (self.layout is None) == (self.pattern is None):
            raise ValueError("needs either layout or pattern")
        if self.pattern is not None and "time" in re.compile(self.pattern).groupindex and self.time_format is None:
            raise ValueError("a pattern with a group 'time' needs time_format")
        if self.time_format is not None and (self.pattern is None or "time" not in re.compile(self.pattern).groupindex):
            raise ValueError("time_format needs a pattern with a group 'time'")
        return self


class PlotDefaults(Section):
    """How plots are judged where nothing else is said."""

    needs_beam: bool = True
    stale_s: Positive = 120
    on_delay: Count = 2
    off_delay: Count = 2


class Detector(Section):
    """A subsystem: its plots, whom to call, what to do, and where its plots differ from the defaults."""

    name: str = Field(min_length=1, max_length=40)
    plots: tuple[str, ...] = ()
    expert: str = ""
    guidance: str = ""
    needs_beam: bool | None = None
    stale_s: Positive | None = None
    on_delay: Count | None = None
    off_delay: Count | None = None

    def claims(self, plot: str) -> bool:
        """True if one of the patterns fits; without patterns, those named after the detector."""
        patterns = self.plots or (self.name, f"{self.name}_*")
        return any(fnmatchcase(plot, pattern) for pattern in patterns)


class Config(Section):
    """The whole file."""

    hall: Hall = Hall()
    store: Store = Store()
    ioc: Ioc = Ioc()
    beam: BeamSection
    classify: ClassifySection = Models()
    web: Web = Web()
    watch: tuple[Watch, ...] = ()
    defaults: PlotDefaults = PlotDefaults()
    detector: tuple[Detector, ...] = ()

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [detector.name for detector in self.detector]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"detector: {', '.join(twice)} stands there twice")
        roots = [watch.root for watch in self.watch]
        if double := sorted({str(root) for root in roots if roots.count(root) > 1}):
            raise ValueError(f"watch: {', '.join(double)} stands there twice")
        return self

    def detector_of(self, plot: str) -> str:
        """The detector a plot belongs to: the first that claims it, else the name up to its first ``_``."""
        found = self._section_of(plot)
        return plot.split("_", 1)[0] or plot if found is None else found.name

    def rules_of(self, plot: str) -> Rules:
        """How this file wants a plot judged; thresholds are the model's affair."""
        values = {name: getattr(self.defaults, name) for name in PlotDefaults.model_fields}
        section = self._section_of(plot)
        if section is not None:
            values |= {name: value for name in values if (value := getattr(section, name)) is not None}
        return Rules(detector=self.detector_of(plot), **values)

    def _section_of(self, plot: str) -> Detector | None:
        return next((detector for detector in self.detector if detector.claims(plot)), None)

    def store_url(self) -> URL:
        """The data base's URL with its password, which comes from a file, a systemd credential or the environment."""
        from sqlalchemy.engine import make_url  # noqa: PLC0415  most verbs never open the data base

        url = make_url(self.store.url)
        password = _password(self.store)
        return url if password is None else url.set(password=password)


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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise ConfigurationError(f"{path}: is no TOML: {fault}") from fault
    return read(document, path.resolve().parent, folders=folders)


def read(document: Mapping[str, Any], home: Path, *, folders: bool = False) -> Config:
    """A configuration from an already parsed document; see :func:`load`."""
    try:
        config = Config.model_validate(document)
    except ValidationError as fault:
        raise ConfigurationError(*_sentences(fault, document)) from fault
    config = _anchored(config, home)
    if faults := _missing(config, folders=folders):
        raise ConfigurationError(*faults)
    return config


def _anchored(config: Config, home: Path) -> Config:
    store = config.store
    url = store.url
    if url.startswith(SQLITE):
        url = f"{SQLITE}{home / url.removeprefix(SQLITE)}"
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
    return config.model_copy(update={"store": kept, "watch": watches})


def _missing(config: Config, *, folders: bool) -> Sequence[str]:
    faults = []
    if config.store.password_file is not None and not os.access(config.store.password_file, os.R_OK):
        faults.append(f"store.password_file: {config.store.password_file} cannot be read")
    if folders:
        faults += [
            f"watch[{n}].root: {watch.root} is no folder that can be read"
            for n, watch in enumerate(config.watch)
            if not (watch.root.is_dir() and os.access(watch.root, os.R_OK | os.X_OK))
        ]
    return faults


def _password(store: Store) -> str | None:
    if store.password_file is not None:
        return store.password_file.read_text(encoding="utf-8").rstrip("\n")
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder and (credential := Path(folder) / PASSWORD_CREDENTIAL).is_file():
        return credential.read_text(encoding="utf-8").rstrip("\n")
    return os.environ.get(PASSWORD_ENVIRONMENT)


def _sentences(fault: ValidationError, document: Mapping[str, Any]) -> Sequence[str]:
    return [f"{_key(error['loc'], document)}{_text(error)}" for error in fault.errors(include_url=False)]


def _key(loc: tuple[int | str, ...], document: Any) -> str:
    """The key as it stands in the file: pydantic's location without the names of union members."""
    words: list[str] = []
    place = document
    for n, step in enumerate(loc):
        if isinstance(step, int):
            words[-1] += f"[{step}]"
            place = place[step] if isinstance(place, Sequence) and step < len(place) else None
        elif n == 1 and loc[0] in {"beam", "classify"} and step in {"epics", "fixed", "models"}:
            continue
        else:
            words.append(step)
            place = place.get(step) if isinstance(place, Mapping) else None
    return f"{'.'.join(words)}: " if words else ""


def _text(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "is no key of this table"
        case "missing":
            return "is missing"
        case "unknown_kind":
            return f"{error['msg']}, not {error['input'].get('kind')!r}"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            return f"{error['msg']}, not {error['input']!r}"
