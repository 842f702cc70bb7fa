"""The canary: a known-bad image goes the way of all images now and then. Has it come out BAD, and in time?"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from hydrad import log
from hydrad.config import Canary as Section
from hydrad.domain import Canary, Specimen, Status, Verdict

_log = log.get("canary")


@dataclass(slots=True)
class Bird:
    """What is known of one model's canary: the one that was sent last, and what came of it or of the one before."""

    specimen: Specimen
    path: str = ""
    sha256: str = ""
    sent_at: float | None = None  # the last one; None before the first, and while none could be sent
    tried_at: float = 0.0
    waits_since: float | None = None  # when the first of those was sent that have not been judged
    verdict: Verdict | None = None
    ok_at: float | None = None  # when one last came out as it should
    arrived: bool = False  # the last one, in the data base
    latency_s: float | None = None
    fault: str = ""  # why it could not be sent, or was rejected

    @property
    def model(self) -> str:
        """Whose it is."""
        return self.specimen.model

    @property
    def blind(self) -> bool:
        """Whether what came out last is not what had to come out."""
        if self.verdict is None:
            return False
        return self.verdict.status is not Status.BAD if self.specimen.known_bad else self._unanswered

    @property
    def _unanswered(self) -> bool:
        return self.verdict is not None and self.verdict.status is Status.UNKNOWN

    @property
    def called(self) -> str:
        """As one speaks of it."""
        kind = "known-bad image" if self.specimen.known_bad else "test image"
        return f"the {kind} of {self.model}"


class Canaries:
    """One bird for each model that serves. Not thread-safe: it belongs to the event loop.

    What comes out as something else than BAD is said at once. One that does not come out is missed after
    ``within_s``. Of a model without a known-bad image any verdict will do: the way is tested, and not the judgement.
    """

    def __init__(self, section: Section, clock: Callable[[], float] = time.monotonic) -> None:
        self._section = section
        self._clock = clock
        self._birds: dict[str, Bird] = {}

    def keep(self, specimens: Sequence[Specimen]) -> Collection[str]:
        """Know these models from now on and no others; return the paths that nobody waits for any more."""
        wanted = {specimen.model: specimen for specimen in specimens}
        gone = [bird for bird in self._birds.values() if wanted.get(bird.model) is not bird.specimen]
        for bird in gone:
            del self._birds[bird.model]
        for model, specimen in wanted.items():
            if model not in self._birds:
                self._birds[model] = Bird(specimen)
                if specimen.why_not:
                    _log.info("no_known_bad_image", model=model, why=specimen.why_not, so="only the way is tested")
        return [bird.path for bird in gone if bird.path]

    def due(self) -> Sequence[Specimen]:
        """Those whose next image is to be sent now."""
        now = self._clock()
        return [bird.specimen for bird in self._birds.values() if self._is_due(bird, now)]

    def _is_due(self, bird: Bird, now: float) -> bool:
        if bird.sent_at is None:
            return not bird.fault or now - bird.tried_at >= self._section.within_s
        return now - bird.sent_at >= self._section.every_s

    def sent(self, model: str, path: str, sha256: str) -> str:
        """One is on its way as this file; return the path of the one before it, which nobody waits for any more."""
        bird, before = self._birds[model], self._birds[model].path
        bird.path, bird.sha256, bird.sent_at = path, sha256, self._clock()
        bird.arrived, bird.fault = False, ""
        if bird.waits_since is None:
            bird.waits_since = bird.sent_at
        return before

    def not_sent(self, model: str, why: str) -> None:
        """One could not be written."""
        bird = self._birds[model]
        bird.sent_at, bird.tried_at = None, self._clock()
        bird.fault = f"the canary of {model} cannot be written: {why}"

    def judged(self, verdict: Verdict) -> None:
        """One was judged; one that is waited for no more changes nothing."""
        bird = self._waiting(verdict.plot, verdict.path)
        if bird is not None:
            bird.verdict, bird.waits_since, bird.fault = verdict, None, ""
            if not bird.blind:
                bird.ok_at = self._clock()

    def rejected(self, model: str | None, path: str, reason: str) -> None:
        """One could not be read."""
        bird = self._waiting(model, path)
        if bird is not None:
            bird.waits_since, bird.fault = None, f"the canary of {model} was rejected: {reason}"

    def _waiting(self, model: str | None, path: str | None) -> Bird | None:
        bird = None if model is None else self._birds.get(model)
        return bird if bird is not None and bird.path == path and bird.waits_since is not None else None

    def awaited(self) -> Sequence[Bird]:
        """Those that were judged and are not in the data base yet."""
        return [bird for bird in self._birds.values() if _is_judged(bird) and not bird.arrived]

    def arrived(self, bird: Bird, sha256: str, status: Status) -> None:
        """The data base has this verdict of it."""
        if (
            bird.verdict is not None
            and bird.sent_at is not None
            and (sha256, status) == (bird.sha256, bird.verdict.status)
        ):
            bird.arrived = True
            bird.latency_s = self._clock() - bird.sent_at

    def show(self, *, database_ok: bool = True) -> Canary:
        """How it is now.

        Args:
            database_ok: whether the data base answers; while it does not, that is said by others, and is not missed.
        """
        now = self._clock()
        birds = list(self._birds.values())
        troubles = {bird.model: words for bird in birds if (words := self._trouble(bird, now, database_ok=database_ok))}
        stands = next((bird for bird in birds if bird.model in troubles), None)
        stands = stands or next((bird for bird in birds if bird.specimen.known_bad), birds[0] if birds else None)
        oks = [bird.ok_at for bird in birds]
        latencies = [bird.latency_s for bird in birds if bird.latency_s is not None]
        trouble = "; ".join(troubles.values())
        return Canary(
            status=Status.UNKNOWN if stands is None else self._status(stands, now),
            says=trouble or _says(birds),
            trouble=trouble,
            blind=any(bird.blind for bird in birds),
            out_s=max((self._out_s(bird, now) for bird in birds), default=0.0),
            age_s=None if not oks or None in oks else max(now - at for at in oks if at is not None),
            latency_s=max(latencies, default=None),
        )

    def _out_s(self, bird: Bird, now: float) -> float:
        return 0.0 if bird.waits_since is None else now - bird.waits_since

    def _is_late(self, bird: Bird, now: float) -> bool:
        return self._out_s(bird, now) > self._section.within_s

    def _status(self, bird: Bird, now: float) -> Status:
        if bird.verdict is None or bird.fault or self._is_late(bird, now):
            return Status.UNKNOWN
        return bird.verdict.status

    def _trouble(self, bird: Bird, now: float, *, database_ok: bool) -> str:
        words = []
        if bird.blind and bird.verdict is not None:
            words.append(f"{bird.called} came out {bird.verdict.status.name}: {bird.verdict.reason}")
        if bird.fault:
            words.append(bird.fault)
        elif self._is_late(bird, now):
            words.append(f"{bird.called} has not come out for {self._out_s(bird, now):.0f} s")
        elif _is_judged(bird) and not bird.arrived and database_ok and bird.sent_at is not None:
            waited_s = now - bird.sent_at
            if waited_s > self._section.within_s:
                words.append(f"{bird.called} was judged, and is not in the data base after {waited_s:.0f} s")
        return "; ".join(words)


def _is_judged(bird: Bird) -> bool:
    return bird.sent_at is not None and bird.waits_since is None and not bird.fault


def _says(birds: Sequence[Bird]) -> str:
    """What there is to say while nothing is wrong."""
    words = []
    for bird in birds:
        if bird.verdict is None:
            words.append(f"{bird.called} is on its way for the first time")
        elif bird.specimen.known_bad:
            words.append(f"{bird.called} came out BAD")
        if bird.specimen.why_not:
            words.append(f"no canary of {bird.model}: {bird.specimen.why_not}, so only the way is tested")
    return "; ".join(words)
