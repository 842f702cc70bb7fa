"""hydra.toml read again while working: what may change does, what may not stays, and each is named."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from hydrad import log
from hydrad.config import Config, Detector, Section
from hydrad.errors import ConfigurationError

LIMITS = ("on_above", "off_below", "noise_above")  # of the beam

S = TypeVar("S", bound=Section)

_log = log.get("configuration")


@dataclass(frozen=True, slots=True)
class Keys:
    """Which keys a process may change while it works, as patterns of names such as ``detector.CDC.stale_s``.

    What is neither ``live`` nor ``foreign`` waits for the process to be started anew, and so does what is ``fixed``.
    """

    live: Sequence[str]
    fixed: Sequence[str] = ("detector.*.plots",)
    foreign: Sequence[str] = ()  # of no concern to this process

    def are_live(self, name: str) -> bool:
        """Whether this key may change now."""
        return _is_one_of(name, self.live) and not _is_one_of(name, self.fixed)

    def concern(self, name: str) -> bool:
        """Whether this key means anything to the process."""
        return not _is_one_of(name, self.foreign)


JUDGING = (
    "defaults.*",
    "detector.*",
    "saving.*",
    "store.keep_all_h",
    "store.keep_verdicts_d",
    *(f"beam.{key}" for key in LIMITS),
)
DAEMON = Keys(
    live=(*JUDGING, "ioc.writers*"),
    foreign=("web", "web.*", "logbook", "logbook.*", "mail", "mail.*", "train", "train.*"),
)
PAGES = Keys(
    live=(*JUDGING, "logbook", "logbook.*", "train.*"),
    foreign=("ioc.*", "watch", "classify", "classify.*", "canary.*"),
)


@dataclass(frozen=True, slots=True)
class Merged:
    """The configuration to work by, and how it differs: from the one before, and from the file."""

    config: Config
    changed: Sequence[str]  # keys that are otherwise from now on
    waiting: Sequence[str]  # keys that stay as they were until the process is started anew


def merge(held: Config, wanted: Config, keys: Keys) -> Merged:
    """Take over of ``wanted`` what may change while working."""
    merging = _Merging(keys)
    return Merged(merging.section(held, wanted, ""), merging.changed, merging.waiting)


class _Merging:
    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self.changed: list[str] = []
        self.waiting: list[str] = []

    def section(self, held: S, wanted: S, at: str) -> S:
        update: dict[str, Any] = {}
        for key in type(held).model_fields:
            name, old, new = f"{at}{key}", getattr(held, key), getattr(wanted, key)
            if old == new or not self._keys.concern(name):
                continue
            if isinstance(old, Section) and type(old) is type(new):
                update[key] = self.section(old, new, f"{name}.")
            elif name == "detector":
                update[key] = self._detectors(old, new)
            elif self._keys.are_live(name):
                update[key] = new
                self.changed.append(name)
            else:
                self.waiting.append(name)
        return held.model_copy(update=update)

    def _detectors(self, held: Sequence[Detector], wanted: Sequence[Detector]) -> tuple[Detector, ...]:
        """Those there are, with the plots and in the order they have: PVs are named after that."""
        old, new = ({detector.name: detector for detector in detectors} for detectors in (held, wanted))
        self.waiting += [f"detector.{name}" for name in (*old, *new) if (name in old) != (name in new)]
        if old.keys() == new.keys() and list(old) != list(new):
            self.waiting.append("the order of the detectors")
        return tuple(self.section(one, new.get(one.name, one), f"detector.{one.name}.") for one in held)


def _is_one_of(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


class Rereading:
    """The configuration that a process works by; call it to read the file again.

    Args:
        read: reads the file; blocks, raises ConfigurationError.
        keys: what may change.
        take: lets the process work by another configuration from now on.
        remark: hears in one line what of the file is not in force; nothing when all of it is.
    """

    def __init__(
        self,
        held: Config,
        read: Callable[[], Config],
        keys: Keys,
        take: Callable[[Config], Awaitable[None]],
        remark: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._held = held
        self._read = read
        self._keys = keys
        self._take = take
        self._remark = remark

    async def __call__(self) -> None:
        """Take over what may change. A file that is wrong anywhere changes nothing."""
        try:
            wanted = await asyncio.to_thread(self._read)
        except ConfigurationError as wrong:
            _log.error("configuration_refused", faults=list(wrong.faults), so="the one before stays in force")
            self._remark(f"the new configuration is refused: {wrong.faults[0]}")
            return
        merged = merge(self._held, wanted, self._keys)
        if merged.changed:
            await self._take(merged.config)
        self._held = merged.config
        waiting = ", ".join(merged.waiting)
        _log.info("configuration_reread", changed=list(merged.changed))
        if waiting:
            _log.warning("configuration_waits", keys=list(merged.waiting), so="they are as before until a restart")
        self._remark(f"a restart is needed for {waiting}" if waiting else "")
