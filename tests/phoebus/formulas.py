"""Filters of an alarm tree as Phoebus' alarm server works them out."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping

from alarm_trees import Leaf

TOKEN = re.compile(r"\s*(?:'([^']*)'|(\d+(?:\.\d+)?)|(&&?|\|\|?|==|!=|<=|>=|[<>!()]))")
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Formula:
    """A filter's expression: ``&`` and ``|`` bind alike and least, comparisons more, ``!`` most; PVs stand in quotes.

    Raises:
        ValueError: for what the alarm server would not understand either.
    """

    def __init__(self, text: str) -> None:
        self._tokens = [found.groups() for found in TOKEN.finditer(text)]
        if "".join(found.group() for found in TOKEN.finditer(text)) != text.rstrip():
            raise ValueError(f"{text!r} has something in it that is no part of a formula")
        self.pvs = tuple(name for name, _, _ in self._tokens if name is not None)

    def value(self, values: Mapping[str, float]) -> float:
        """What it comes to."""
        self._left = list(self._tokens)
        found = self._either(values)
        if self._left:
            raise ValueError(f"{self._left} is left over")
        return found

    def _next(self) -> str | None:
        return self._left[0][2] if self._left else None

    def _either(self, values: Mapping[str, float]) -> float:
        found = self._compared(values)
        while (sign := self._next()) in {"&", "&&", "|", "||"}:
            self._left.pop(0)
            other = self._compared(values)
            join = all if sign.startswith("&") else any
            found = float(join(value != 0 for value in (found, other)))
        return found

    def _compared(self, values: Mapping[str, float]) -> float:
        found = self._one(values)
        while (sign := self._next()) in COMPARISONS:
            self._left.pop(0)
            found = float(COMPARISONS[sign](found, self._one(values)))
        return found

    def _one(self, values: Mapping[str, float]) -> float:
        name, number, sign = self._left.pop(0)
        if name is not None:
            return values[name]
        if number is not None:
            return float(number)
        if sign == "!":
            return float(not self._one(values))
        if sign != "(":
            raise ValueError(f"{sign} where a value should stand")
        found = self._either(values)
        if self._next() != ")":
            raise ValueError("a bracket is not closed")
        self._left.pop(0)
        return found


def condition(leaf: Leaf) -> Formula | None:
    """The filter of an alarm, if it has one."""
    return Formula(leaf.words["filter"]) if "filter" in leaf.words else None


def counts(leaf: Leaf, values: Mapping[str, float]) -> bool:
    """True where an alarm is enabled and its filter lets it through; the value of what is not connected is NaN."""
    formula = condition(leaf)
    return leaf.enabled and (formula is None or formula.value(values) > 0)
