"""The life of one image, from file to shift crew."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from hydrad import log
from hydrad.backlog import Backlog
from hydrad.domain import Arrival, Cause, LedgerEntry, Outcome, Picture, Prediction, Verdict
from hydrad.errors import BundleError, TryAgain, UnfinishedImage, UnreadableImage
from hydrad.keeping import keep
from hydrad.ports import BeamMonitor, Classifier, Decoder, Ledger, Sink, Watcher
from hydrad.pulse import Pulse
from hydrad.roster import Roster

_log = log.get("pipeline")


def utc_now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(kw_only=True)
class Pipeline:
    """What an image meets on its way."""

    decode: Decoder
    classifier: Classifier
    beam: BeamMonitor
    roster: Roster
    sinks: Sequence[Sink]
    ledger: Ledger
    fill_s: float  # how long an image fills before it is written
    backlog: Backlog = field(default_factory=Backlog)
    pulse: Pulse = field(default_factory=Pulse)
    clock: Callable[[], datetime] = utc_now
    judged: Callable[[Verdict], None] = lambda _: None  # hears of each new image when all else is done with it
    _unkept: deque[Verdict] = field(default_factory=deque, init=False)
    _away: bool = field(default=False, init=False)

    async def follow(self, watcher: Watcher) -> None:
        """Queue what a watcher finds, for ever."""
        async for arrival in watcher.arrivals():
            self.backlog.put(arrival, watcher)

    async def attend(self) -> NoReturn:
        """Take one waiting file after the other through its life, for ever."""
        while True:
            arrival, watcher = await self.backlog.take()
            try:
                picture = await self._read(arrival, watcher)
                if picture is not None:
                    await self._judge(arrival, picture)
            finally:
                self.backlog.done(arrival)

    async def _read(self, arrival: Arrival, watcher: Watcher) -> Picture | None:
        """The picture, or None: then the file is looked at again later, or was rejected with its reason."""
        try:
            return await self.decode(arrival.path)
        except UnreadableImage as why:
            await self._reject(arrival, str(why))
        except FileNotFoundError:
            await self._reject(arrival, "gone before it could be read")
        except (UnfinishedImage, OSError) as why:
            if arrival.at_rest_s < watcher.patience_s:
                watcher.again(arrival)
            else:
                await self._reject(arrival, f"{why}; unchanged for {arrival.at_rest_s:.0f} s")
        return None

    async def _judge(self, arrival: Arrival, picture: Picture) -> None:
        equal = self.roster.equals_last(arrival.plot, picture)
        prediction = self.roster.last_prediction(arrival.plot) if equal else None
        if prediction is None:
            prediction = await self._classify(arrival.plot, picture)
        now = self.clock()
        taken_at = min(arrival.taken_at, now)
        beam = self.beam.during(taken_at - timedelta(seconds=self.fill_s), taken_at)
        verdict = self.roster.judge(arrival, picture, prediction, beam=beam, beam_now=self.beam.now(), now=now)
        await self.tell(verdict)
        self.pulse.beat((self.clock() - arrival.seen_at).total_seconds())
        outcome = Outcome.SUPERSEDED if verdict.superseded else Outcome.UNCHANGED if equal else Outcome.JUDGED
        entry = _entry(arrival, outcome, verdict.reason, self.clock(), picture.sha256)
        heatmap = None if prediction is None else prediction.heatmap
        await keep(lambda: self.ledger.record(entry, verdict, picture, heatmap))
        _log.info("image_judged", **_line(verdict), outcome=outcome.value)
        if not equal:
            self.judged(verdict)

    async def _classify(self, plot: str, picture: Picture) -> Prediction | None:
        while (card := self.classifier.card(plot)) is not None:
            try:
                prediction = await self.classifier.classify(plot, picture)
            except BundleError as fault:
                if self._serving(plot) == card.id:
                    _log.error("image_not_classified", plot=plot, sha256=picture.sha256, why=str(fault))
                    return None
            else:
                # Judged by the thresholds of the model that gave it, or not at all: another may serve by now.
                if self._serving(plot) == prediction.model:
                    return prediction
        return None

    def _serving(self, plot: str) -> str | None:
        card = self.classifier.card(plot)
        return None if card is None else card.id

    async def look_again(self, cause: Cause = Cause.CLOCK) -> None:
        """Tell and keep what time, beam or a person's change has altered without a new image."""
        for verdict in self.roster.look_again(self.beam.now(), self.clock(), cause):
            _log.info("status_changed", **_line(verdict), reason=verdict.reason)
            self._unkept.append(verdict)
            await self.tell(verdict)
        await self._keep_notes()

    async def tell(self, verdict: Verdict) -> None:
        """Let every sink know what now holds; a verdict that another has taken the place of holds no more."""
        for sink in self.sinks:
            if self.roster.shown(verdict.plot) is verdict:
                await sink.tell(verdict)

    async def _keep_notes(self) -> None:
        # Once a round and not until it succeeds: while the disk is away statuses must go on growing stale.
        while self._unkept:
            verdict = self._unkept.popleft()
            try:
                await self.ledger.note(verdict)
            except TryAgain as why:
                self._unkept.appendleft(verdict)
                if not self._away:
                    _log.error("cannot_note", why=str(why))
                self._away = True
                return
            if self._away:
                _log.info("noted_after_all")
            self._away = False

    async def _reject(self, arrival: Arrival, reason: str) -> None:
        _log.warning("file_rejected", path=str(arrival.path), plot=arrival.plot, reason=reason)
        entry = _entry(arrival, Outcome.REJECTED, reason, self.clock(), None)
        await keep(lambda: self.ledger.record(entry, None, None, None))


def _entry(arrival: Arrival, outcome: Outcome, reason: str, done_at: datetime, sha256: str | None) -> LedgerEntry:
    return LedgerEntry(
        path=str(arrival.path),
        size=arrival.size,
        mtime_ns=arrival.mtime_ns,
        outcome=outcome,
        reason=reason,
        seen_at=arrival.seen_at,
        done_at=done_at,
        plot=arrival.plot,
        run=arrival.run,
        sha256=sha256,
        submission=arrival.submission,
    )


def _line(verdict: Verdict) -> dict[str, object]:
    return {
        "plot": verdict.plot,
        "run": verdict.run,
        "status": verdict.status.name,
        "label": verdict.label,
        "confidence": verdict.confidence,
        "beam": verdict.beam.state.name,
        "path": verdict.path,
    }
