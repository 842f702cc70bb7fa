"""Side by side with EPICS base, every DBR type of every channel says the same."""

from __future__ import annotations

import pytest
from side_by_side import CHAR, CLASS_NAME, CTRL, ENUM, GR, STRING, STSACK_STRING, Side

RECORDS = ("MBBI", "BI", "BO", "AI", "AO", "LONGIN", "LONGOUT", "STRINGIN", "WAVEFORM")
FIELDS = {
    "": RECORDS,
    "VAL DESC RTYP SEVR STAT UDF ACKT": RECORDS,
    "HIHI HIGH LOW LOLO HYST MDEL ADEL HOPR LOPR EGU HHSV HSV LSV LLSV": ("AI", "AO", "LONGIN", "LONGOUT"),
    "PREC": ("AI", "AO"),
    "DRVH DRVL": ("AO", "LONGOUT"),
    "ZRST ONST FFST ZRSV TWSV FFSV": ("MBBI",),
    "ZNAM ONAM ZSV OSV": ("BI", "BO"),
    "NELM NORD": ("WAVEFORM",),
}
CHANNELS = [
    record + (f".{field}" if field else "")
    for fields, records in FIELDS.items()
    for record in records
    for field in (fields.split() or [""])
]
RANGED = ("UDF", "HYST", "MDEL", "ADEL", "HOPR", "LOPR", "DRVH", "DRVL", "PREC", "NORD")
TEXTS = {"WAVEFORM", "WAVEFORM.VAL"}
LINES = {
    "STRINGIN",
    "STRINGIN.VAL",
    *(name for name in CHANNELS if name.endswith(("DESC", "RTYP", "EGU", "RST", "NST", "FST", "NAM"))),
}


def differs_knowingly(channel: str, kind: int) -> bool:
    """Where ours says more than EPICS base does."""
    if channel in TEXTS:  # as a string, base sends the code of each letter; ours the text
        return kind % 7 == STRING or kind == STSACK_STRING
    if (
        channel in LINES
    ):  # as characters, base would have a number; ours gives the text also without "$"; ENUM is chance
        return kind % 7 in {CHAR, ENUM}
    if channel.endswith(RANGED):  # base: the range of its C type, or what was there before
        return kind // 7 in {GR, CTRL}
    if channel == "WAVEFORM.NELM":  # 256 as one byte: base turns it over, ours gives the largest there is
        return kind % 7 == CHAR or kind // 7 in {GR, CTRL}
    return channel in {"BO", "BO.VAL"} and kind // 7 == CTRL  # base: a bo can be driven from 0 to 65535


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_type_of_every_channel_says_the_same(sides: tuple[Side, Side], channel: str) -> None:
    ours, theirs = sides
    asked = [
        (kind, count)
        for kind in (*range(35), STSACK_STRING, CLASS_NAME)
        for count in (0, 1)
        if (kind, count) != (CLASS_NAME, 0)  # base sends what lies behind the name in its memory
        if not differs_knowingly(channel, kind)
    ]
    said = zip(asked, ours.meanings(channel, asked), theirs.meanings(channel, asked), strict=True)
    assert [(what, our, their) for what, our, their in said if our != their] == []
