"""hydra.toml as frozen types: what it may say, and every fault of it named at once."""

from hydrad.config.beam import EpicsBeam, FixedBeam
from hydrad.config.classify import Canary, FixedClassify, Models
from hydrad.config.file import Config
from hydrad.config.hall import Hall, Watch
from hydrad.config.ioc import Group, Ioc, MirrorLimits, WritersOf
from hydrad.config.logbook import Elog, Mail, NoLogbook, Olog
from hydrad.config.plots import Detector, PlotDefaults
from hydrad.config.reading import DEFAULT_PATH, find, load, read
from hydrad.config.run import EpicsRun, PathRun
from hydrad.config.section import Section
from hydrad.config.store import Saving, Store
from hydrad.config.train import Emulate, Symmetry, Train
from hydrad.config.web import Web

__all__ = [
    "DEFAULT_PATH", "Canary", "Config", "Detector", "Elog", "Emulate", "EpicsBeam", "EpicsRun", "FixedBeam",
    "FixedClassify", "Group", "Hall", "Ioc", "Mail", "MirrorLimits", "Models", "NoLogbook", "Olog", "PathRun",
    "PlotDefaults", "Saving", "Section", "Store", "Symmetry", "Train", "Watch", "Web", "WritersOf",
    "find", "load", "read",
]  # fmt: skip
