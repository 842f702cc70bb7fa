"""What one asks of the log: a time, a run, a plot, what was wrong, and whether somebody has seen it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, ValidationError

from hydrad.domain import Status
from hydrad.errors import ChangeRefused
from hydrad.store.history.episodes import Place, Wanted

Last = Literal["shift", "day", "week", "all"]
Wrong = Literal["BAD", "NODATA", "SUSPECT", "UNFAMILIAR", "STALE"]
SPANS: Final[Mapping[str, timedelta | None]] = {
    "shift": timedelta(hours=8),
    "day": timedelta(hours=24),
    "week": timedelta(days=7),
    "all": None,
}
WORDS: Final = {"shift": "the last 8 h", "day": "the last 24 h", "week": "the last 7 days", "all": "the whole log"}
WRONG: Final = (Status.BAD, Status.NODATA, Status.SUSPECT, Status.UNFAMILIAR, Status.STALE)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MANY: Final = 500  # entries of one page at most


def _of_our_days(moment: datetime) -> datetime:
    if not 1970 <= moment.year <= 2999:
        raise ValueError("should be a year from 1970 to 2999")
    return moment


Name = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00]*$")]
Moment = Annotated[datetime, AfterValidator(_of_our_days)]


class Asked(BaseModel):
    """The filters of the log, as they stand in an address."""

    since: Moment | None = Field(None, description="What lasted then or began later; the hall's time where it has none")
    until: Moment | None = Field(None, description="What had begun by then")
    last: Last | None = Field(None, description="8 h, 24 h, 7 days, or all; 24 h where nothing else says when")
    run: int | None = Field(None, ge=0, le=2**63 - 1, description="What was there in this run")
    detector: Name | None = None
    plot: Name | None = None
    status: list[Wrong] = Field([], max_length=10, description="Its worst status: one, or any of several; all")
    label: Name | None = Field(None, description="The label of its worst image")
    acknowledged: bool | None = Field(None, description="Whether somebody has acknowledged it")
    limit: int = Field(100, ge=1, le=MANY)
    before: str | None = Field(
        None, pattern=r"^([0-9]{1,17})?-[0-9]{1,17}-[0-9]{1,19}$", description="``older`` of a page"
    )

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Self:
        """From an address as forms write it: what was left empty is not asked for.

        Raises:
            ChangeRefused: with what cannot be, by field.
        """
        asked: dict[str, Any] = {}
        for key, value in pairs:
            if value.strip() and key in cls.model_fields:
                if key == "status":
                    asked.setdefault(key, []).append(value)
                else:
                    asked[key] = value.strip()
        try:
            return cls.model_validate(asked)
        except ValidationError as fault:
            told = "; ".join(
                f"{error['loc'][0]}: {error['msg'][:1].lower()}{error['msg'][1:]}" for error in fault.errors()
            )
            raise ChangeRefused(told) from fault

    @property
    def span(self) -> Last:
        """How far back it goes where no time is given."""
        told = self.since is not None or self.until is not None or self.run is not None
        return self.last or ("all" if told else "day")

    def wanted(self, zone: ZoneInfo, now: datetime) -> Wanted:
        """The same as the data base is asked."""
        span = SPANS[self.span]
        since = _aware(self.since, zone)
        return Wanted(
            since=since if since is not None or span is None else now - span,
            until=_aware(self.until, zone),
            run=self.run,
            detector=self.detector,
            plot=self.plot,
            statuses=frozenset(Status[word] for word in self.status) or frozenset(WRONG),
            label=self.label,
            acknowledged=self.acknowledged,
        )

    @property
    def place(self) -> Place | None:
        """Where this page begins."""
        if self.before is None:
            return None
        ended, started, number = self.before.split("-")
        return Place(_moment(ended) if ended else None, _moment(started), min(int(number), 2**63 - 1))

    @property
    def narrow(self) -> bool:
        """True if it asks for more than a time or a run."""
        return bool(self.model_fields_set - {"since", "until", "last", "run", "limit", "before"})

    def address(self, **other: object) -> str:
        """The query of an address that asks the same, but for ``other``."""
        facts = {**self.model_dump(mode="json", exclude_unset=True), **other}
        if isinstance(facts.get("acknowledged"), bool):
            facts["acknowledged"] = "yes" if facts["acknowledged"] else "no"
        return urlencode({key: value for key, value in facts.items() if value not in (None, [])}, doseq=True)


def written(place: Place | None) -> str | None:
    """A place as it stands in an address."""
    if place is None:
        return None
    return f"{'' if place.ended_at is None else _ticks(place.ended_at)}-{_ticks(place.started_at)}-{place.id}"


def _ticks(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _moment(ticks: str) -> datetime:
    return EPOCH + timedelta(microseconds=int(ticks))


def _aware(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    return moment.replace(tzinfo=zone) if moment is not None and moment.tzinfo is None else moment
