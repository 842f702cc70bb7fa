"""What people write into a field: any letters of any script, and nothing that is none."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

_NO_LETTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def _legible(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if hit := _NO_LETTER.search(text):
        raise ValueError(f"holds what is no letter, at {hit.start() + 1}")
    return text


Prose = Annotated[str, AfterValidator(_legible)]
