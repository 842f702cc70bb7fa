"""Opens the arrays of a bundle: numbers only, and no more of them than a bundle has use for."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from hydrad.errors import BundleError

# What zipfile, zlib and numpy say of a file that somebody has been at.
FAULTS: Final = (
    OSError, ValueError, LookupError, TypeError, EOFError, MemoryError, RuntimeError, SyntaxError, OverflowError,
    zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip
LARGEST: Final = 512 * 1024 * 1024  # bytes, unpacked; some golden images of 2000 × 1500 pixels are a tenth of it


@contextmanager
def opened(data: bytes, what: str) -> Iterator[Mapping[str, Any]]:
    """The arrays of an npz file by name; what is wrong with them as they are read becomes BundleError too.

    Args:
        what: they are, for the error's text.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > LARGEST:
            raise BundleError(f"its {what} would unpack to {size} bytes, above {LARGEST}")
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            yield file
    except FAULTS as fault:
        raise BundleError(f"its {what} cannot be read: {fault}") from fault
