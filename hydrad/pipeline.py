"""The life of one image, from file to shift crew."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from hydrad import log
from hydrad.backlog import Backlog
from hydrad.domain import Arrival, Cause, LedgerEntry, Outcome, Picture, Prediction, Verdict
from hydrad.errors import BundleError, TryAgain, UnfinishedImage, UnreadableImage
from hydrad.keeping import keep
from hydrad.ports import BeamMonitor, Classifier, Decoder, Ledger, RunMonitor, Sink, Watcher
from hydrad.pulse import Pulse
from hydrad.roster import Roster

UNREAD: Final = "passed over unread: newer images of the plot came, and more files waited than are remembered"
NOTES_AT_ONCE: Final = 256
MOST_UNKEPT: Final = 10_000  # verdicts that no image caused, while the disk is away

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
    runs: RunMonitor
    roster: Roster
    sinks: Sequence[Sink]
    ledger: Ledger
    fill_s: float  # how long an image fills before it is written
    backlog: Backlog = field(default_factory=Backlog)
    pulse: Pulse = field(default_factory=Pulse)
    clock: Callable[[], datetime] = utc_now
    judged: Callable[[Verdict], None] = lambda _: None  # hears of each new image when all else is done with it
    event: str = "image_judged"  # the line of the log that each image has
    relieves: bool = True  # passes over what waits in excess: of those that share a backlog, one does
    _unread: dict[Path, str] = field(default_factory=dict, init=False)  # files that are put off, and why
    _unkept: deque[Verdict] = field(default_factory=deque, init=False)
    _away: bool = field(default=False, init=False)
    _passing_over: bool = field(default=False, init=False)

    async def follow(self, watcher: Watcher) -> None:
        """Queue what a watcher finds, for ever."""
        async for arrival in watcher.arrivals():
            self.backlog.put(arrival, partial(self._live, arrival, watcher))
            while self.relieves and (surplus := self.backlog.surplus()):
                await self._pass_over([old for old, _ in surplus])
            if self._passing_over and self.backlog.relaxed:
                self._passing_over = False
                _log.info("files_wait_no_longer_than_remembered", waiting=len(self.backlog))

    async def attend(self) -> NoReturn:
        """Let one waiting file after the other live its life, for ever: it is that of the pipeline that queued it."""
        while True:
            arrival, life = await self.backlog.take()
            try:
                await life()
            finally:
                self.backlog.done(arrival)

    async def _live(self, arrival: Arrival, watcher: Watcher) -> None:
        # Apart from the loop above: whoever waits for the next file must not go on holding the picture of the last.
        self.pulse.spent("wait", arrival.at_rest_s + (self.clock() - arrival.seen_at).total_seconds())
        with self.pulse.stage("read"):
            picture = await self._read(arrival, watcher)
        if picture is None:
            return
        self._unread.pop(arrival.path, None)
        arrival = _as_read(arrival, picture)
        if self._is_told(arrival, picture):
            self.pulse.beat((self.clock() - arrival.seen_at).total_seconds())
        else:
            await self._judge(arrival, picture)

    async def _read(self, arrival: Arrival, watcher: Watcher) -> Picture | None:
        """The picture, or None: then the file is looked at again later, or was rejected with its reason."""
        try:
            return await self.decode(arrival.path, arrival.plot)
        except UnreadableImage as why:
            await self._reject(arrival, str(why))
        except FileNotFoundError:
            await self._reject(arrival, "gone before it could be read", gone=True)
            watcher.missed(arrival)
        except (UnfinishedImage, OSError, MemoryError) as why:
            words = str(why) or "not memory enough to open it"
            if arrival.at_rest_s < watcher.patience_s:
                watcher.again(arrival)
            elif isinstance(why, UnfinishedImage) or arrival.submission is not None:
                await self._reject(arrival, f"{words}; unchanged for {arrival.at_rest_s:.0f} s")
            else:  # that it may not be read says nothing of the image: it is tried for as long as it is there
                await self._put_off(arrival, words)
                watcher.again(arrival)
        return None

    def _is_told(self, arrival: Arrival, picture: Picture) -> bool:
        """Whether this very content was read before, by the same name and time; by hand it may come again."""
        if arrival.submission is not None:
            return False
        told = self.ledger.seen(str(arrival.path))
        return told is not None and (told.size, told.mtime_ns, told.sha256) == (
            arrival.size,
            arrival.mtime_ns,
            picture.sha256,
        )

    async def _judge(self, arrival: Arrival, picture: Picture) -> None:
        equal = self.roster.equals_last(arrival.plot, picture)
        prediction, silence = self.roster.last_prediction(arrival.plot) if equal else None, ""
        if prediction is None:
            prediction, silence = await self._classify(arrival.plot, picture)
        with self.pulse.stage("judge"):
            now = self.clock()
            taken_at = min(arrival.taken_at, now)
            filled = taken_at - timedelta(seconds=self.fill_s), taken_at
            beam, run = self.beam.during(*filled), self.runs.during(*filled, arrival.run)
            arrival = replace(arrival, run=run.number)
            verdict = self.roster.judge(
                arrival,
                picture,
                prediction,
                beam=beam,
                beam_now=self.beam.now(),
                now=now,
                silence=silence,
                run=run,
                run_now=self.runs.now(),
            )
        with self.pulse.stage("tell"):
            await self.tell(verdict)
        self.pulse.beat((self.clock() - arrival.seen_at).total_seconds())
        outcome = Outcome.SUPERSEDED if verdict.superseded else Outcome.UNCHANGED if equal else Outcome.JUDGED
        entry = _entry(arrival, outcome, verdict.reason, self.clock(), picture.sha256)
        heatmap = None if prediction is None else prediction.heatmap
        with self.pulse.stage("keep"):
            await keep(lambda: self.ledger.record(entry, verdict, picture, heatmap))
        _log.info(self.event, **_line(verdict), outcome=outcome.value)
        if not equal:
            self.judged(verdict)

    async def _classify(self, plot: str, picture: Picture) -> tuple[Prediction | None, str]:
        """What the plot's model says, or why it says nothing."""
        while (card := self.classifier.card(plot)) is not None:
            try:
                with self.pulse.stage("classify"):
                    prediction = await self.classifier.classify(plot, picture)
            except BundleError as fault:
                if self._serving(plot) == card.id:
                    _log.error("image_not_classified", plot=plot, sha256=picture.sha256, why=str(fault))
                    return None, str(fault)
            else:
                # Judged by the thresholds of the model that gave it, or not at all: another may serve by now.
                if self._serving(plot) == prediction.model:
                    return prediction, ""
        return None, ""

    def _serving(self, plot: str) -> str | None:
        card = self.classifier.card(plot)
        return None if card is None else card.id

    async def look_again(self, cause: Cause = Cause.CLOCK) -> None:
        """Tell and keep what time, beam, run or a person's change has altered without a new image."""
        for verdict in self.roster.look_again(self.beam.now(), self.clock(), cause, run=self.runs.now()):
            _log.info("status_changed", **_line(verdict), reason=verdict.reason)
            self._unkept.append(verdict)
            await self.tell(verdict)
        if len(self._unkept) > MOST_UNKEPT:  # hours without a disk: how each plot stands is worth most
            self._unkept = deque({verdict.plot: verdict for verdict in self._unkept}.values())
        await self._keep_notes()

    async def tell(self, verdict: Verdict) -> None:
        """Let every sink know what now holds; a verdict that another has taken the place of holds no more."""
        for sink in self.sinks:
            if self.roster.shown(verdict.plot) is verdict:
                await sink.tell(verdict)

    async def _keep_notes(self) -> None:
        # Once a round and not until it succeeds: while the disk is away statuses must go on growing stale. Together:
        # the round waits, and a hundred plots that grow stale at once must not cost it a hundred commits.
        while batch := self._next_notes():
            done = await asyncio.gather(*map(self.ledger.note, batch), return_exceptions=True)
            faults = [fault for fault in done if isinstance(fault, BaseException)]
            self._unkept.extendleft(
                verdict for verdict, fault in reversed([*zip(batch, done, strict=True)]) if isinstance(fault, TryAgain)
            )
            for fault in faults:
                if not isinstance(fault, TryAgain):
                    raise fault
            if faults:
                if not self._away:
                    _log.error("cannot_note", why=str(faults[0]))
                self._away = True
                return
            if self._away:
                _log.info("noted_after_all")
            self._away = False

    def _next_notes(self) -> list[Verdict]:
        """The oldest that wait, one of a plot: should one fail, no later one of its plot has been kept."""
        batch: dict[str, Verdict] = {}
        while self._unkept and len(batch) < NOTES_AT_ONCE and self._unkept[0].plot not in batch:
            verdict = self._unkept.popleft()
            batch[verdict.plot] = verdict
        return list(batch.values())

    async def _pass_over(self, overtaken: Sequence[Arrival]) -> None:
        """More wait than can be remembered: what newer images of their plots have overtaken stays unread."""
        if not self._passing_over:
            _log.error("files_passed_over", waiting=len(self.backlog), cure="fewer images, or a faster machine")
        self._passing_over = True
        entries = [_entry(one, Outcome.SUPERSEDED, UNREAD, self.clock(), None) for one in overtaken]
        await asyncio.gather(*(keep(partial(self.ledger.record, entry, None, None, None)) for entry in entries))

    async def _put_off(self, arrival: Arrival, why: str) -> None:
        if self._unread.get(arrival.path) != why:
            self._unread[arrival.path] = why
            _log.warning("file_cannot_be_read", path=str(arrival.path), plot=arrival.plot, why=why)
            entry = _entry(arrival, Outcome.PENDING, why, None, None)
            await keep(lambda: self.ledger.record(entry, None, None, None))

    async def _reject(self, arrival: Arrival, reason: str, *, gone: bool = False) -> None:
        self._unread.pop(arrival.path, None)
        _log.warning("file_rejected", path=str(arrival.path), plot=arrival.plot, reason=reason)
        entry = replace(_entry(arrival, Outcome.REJECTED, reason, self.clock(), None), gone=gone)
        await keep(lambda: self.ledger.record(entry, None, None, None))


def _as_read(arrival: Arrival, picture: Picture) -> Arrival:
    """The arrival of what was read: a file may have been written once more since it was seen to rest."""
    if picture.written_ns is None:
        return arrival
    return replace(arrival, size=len(picture.data), mtime_ns=picture.written_ns)


def _entry(
    arrival: Arrival, outcome: Outcome, reason: str, done_at: datetime | None, sha256: str | None
) -> LedgerEntry:
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
