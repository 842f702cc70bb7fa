"""How many images raise an alarm and how many end it: ISA-18.2's on-delay and off-delay, in a row or m of n."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from hydrad.domain import Rules, Status

LONGEST: Final = 1000  # images that a delay may look back over

RAISED: Final = frozenset({Status.BAD, Status.NODATA})
ALARMING: Final = RAISED | {Status.SUSPECT, Status.UNFAMILIAR}


class Finding(StrEnum):
    """What one image shows, whatever came before it."""

    GOOD = "good"
    OTHER = "other"
    BAD = "bad"
    EMPTY = "empty"
    DOUBT = "doubt"  # unconfirmed, or empty while nobody knows whether there is beam
    NOVEL = "novel"  # unlike anything the model knows
    MASKED = "masked"  # nothing can be said without beam
    SPECIAL = "special"  # nothing can be said in a run of this type


FAULTY: Final = frozenset({Finding.BAD, Finding.EMPTY})
MASKED: Final = {Finding.MASKED: Status.NOBEAM, Finding.SPECIAL: Status.OTHER}
_LETTERS: Final = {finding: finding.value[0] for finding in Finding if finding not in MASKED}


@dataclass(frozen=True, slots=True)
class Recent:
    """What a plot's last images showed, and how many of them count towards an alarm and towards its end.

    ``letters`` are the first letters of their findings, the newest last. An image counts towards an alarm unless a
    raised alarm began, changed its kind or ended with it or after it; it counts towards the end of what alarms only if
    it came after that began.
    """

    letters: str = ""
    on: int = 0
    off: int = 0

    def of(self, finding: Finding, within: int) -> int:
        """How many of the last images showed this, of ``within`` that are remembered."""
        return self.letters.count(_LETTERS[finding], len(self.letters) - within)

    def towards_alarm(self, rules: Rules) -> int:
        """How many of the last images the on-delay looks at."""
        return min(self.on, span(rules.on_delay, rules.on_window))

    def towards_end(self, rules: Rules) -> int:
        """How many of the last images the off-delay looks at."""
        return min(self.off, span(rules.off_delay, rules.off_window))

    def faulty(self, rules: Rules) -> int:
        """How many of those that the on-delay looks at were bad or empty."""
        within = self.towards_alarm(rules)
        return sum(self.of(finding, within) for finding in FAULTY)

    def such(self, finding: Finding, rules: Rules) -> int:
        """How many of those that the off-delay looks at showed this."""
        return self.of(finding, self.towards_end(rules))

    def last(self, within: int) -> tuple[int, int]:
        """How many of the last images were bad or empty, and of how many: ``within`` where there were as many."""
        within = min(within, len(self.letters))
        return sum(self.of(finding, within) for finding in FAULTY), within

    @property
    def holds_fault(self) -> bool:
        """Whether one of them was bad or empty."""
        return any(_LETTERS[finding] in self.letters for finding in FAULTY)

    def _and(self, finding: Finding) -> Recent:
        letters = (self.letters + _LETTERS[finding])[-LONGEST:]
        return Recent(letters, min(self.on + 1, LONGEST), min(self.off + 1, LONGEST))


NOTHING: Final = Recent()


def span(delay: int, window: int) -> int:
    """The images that a delay looks at; a window shorter than the delay means as many in a row."""
    return max(delay, window)


def earn(finding: Finding, earned: Status, recent: Recent, rules: Rules) -> tuple[Status, Recent]:
    """The status that a plot's images have earned it with one more, and what is to be remembered of them.

    Args:
        finding: what the new image shows.
        earned: the status up to this image.
        recent: the images up to this one.
    """
    if finding in MASKED:  # it says nothing, so that what follows it has to prove itself
        return MASKED[finding], NOTHING
    recent = recent._and(finding)  # noqa: SLF001  nobody else may add to it
    match finding:
        case Finding.GOOD | Finding.OTHER:
            if earned in ALARMING and recent.such(finding, rules) < rules.off_delay:
                return earned, recent
            calm = Status.GOOD if finding is Finding.GOOD else Status.OTHER
            return calm, replace(recent, on=0) if earned in RAISED else recent
        case Finding.BAD | Finding.EMPTY:
            after, recent = _fault(finding, earned, recent, rules)
        case _:
            doubtful = Status.SUSPECT if finding is Finding.DOUBT else Status.UNFAMILIAR
            after = earned if earned in RAISED else doubtful
    return after, recent if earned in ALARMING else replace(recent, off=0)


def _fault(finding: Finding, earned: Status, recent: Recent, rules: Rules) -> tuple[Status, Recent]:
    kind = Status.BAD if finding is Finding.BAD else Status.NODATA
    if earned in RAISED:  # a raised alarm changes its kind only as slowly as it was raised
        changes = kind is not earned and recent.of(finding, recent.towards_alarm(rules)) >= rules.on_delay
        return (kind, replace(recent, on=0)) if changes else (earned, recent)
    if recent.faulty(rules) < rules.on_delay:
        return Status.SUSPECT, recent
    return kind, replace(recent, on=0, off=0)
