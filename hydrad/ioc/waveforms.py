"""Records of many elements: a text that people write, numbers, and names."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from hydrad.config import Group
from hydrad.errors import ChangeRefused
from hydrad.ioc.controls import Who
from hydrad.ioc.fields import COMMON, FTVL, TEXT
from hydrad.ioc.records import Record, Text
from hydrad.ioc.wire import Dbr, Value, Values

Writer = Callable[[Who, str], Awaitable[None]]  # who, the new text
FEWEST = 128  # elements that a client reserves room for at least


class Note(Text):
    """A text that clients may write, on one line and as long as the record is."""

    __slots__ = ("writer",)

    def __init__(self, name: str, desc: str, *, writer: Writer, groups: Sequence[Group]) -> None:
        super().__init__(name, desc)
        self.writer = writer
        self.groups = groups

    async def put(self, value: Value, who: Who) -> None:
        """Hand a text to the writer, and show it; raise ChangeRefused for what is none."""
        if isinstance(value, int) and 0 <= value < 128:  # one character, sent as a number
            value = chr(value).rstrip("\0")
        if not isinstance(value, str):
            raise ChangeRefused("must be a text")
        # What was cut within a character has lost that character.
        wanted, old = " ".join(value.split()).removesuffix("\ufffd"), self.value
        if wanted == old:
            return
        await self.writer(who, wanted)
        if self.value == old:  # else whoever took it has shown it already
            self.post(wanted, time.time())


class Array(Record):
    """A ``waveform`` of as many elements as it is given; clients are told of room for some more."""

    __slots__ = ("element_type", "native")
    value: Values  # type: ignore[assignment]  # what goes round in it goes round in no other record
    rtyp = "waveform"
    kinds = {**COMMON, **TEXT}  # noqa: RUF012  a ClassVar of the parent

    def __init__(self, name: str, desc: str, native: Dbr) -> None:
        super().__init__(name, desc, "")
        self.native = native
        self.element_type = FTVL.index("STRING" if native is Dbr.STRING else "DOUBLE")
        self.value = ()

    @property
    def length(self) -> int:
        """How many elements there are."""
        return len(self.value)

    @property
    def capacity(self) -> int:  # type: ignore[override]  # an attribute to those who read it
        """How many there may be; more and more as there are more."""
        return max(FEWEST, 1 << max(self.length - 1, 0).bit_length())

    @property
    def room(self) -> int:  # type: ignore[override]  # likewise
        """How many a client may ask for."""
        return self.capacity

    def show(self, values: Values, stamp: float) -> None:
        """Post other elements, once, if they are others."""
        if values != self.value or not self.defined:
            self.post(values, stamp)  # type: ignore[arg-type]  # as above
