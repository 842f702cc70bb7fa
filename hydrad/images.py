"""From a file's bytes to the picture they show, or to the reason why they show none: the only decoder there is."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import PIL
import xxhash
from PIL import Image
from PIL.ImageFile import ImageFile, PyDecoder
from PIL.PngImagePlugin import PngImageFile

from hydrad.domain import Picture, Pixels
from hydrad.endings import Frame, measure
from hydrad.errors import UnreadableImage
from hydrad.png_rows import has_all_rows, unfiltered_rgba

MAX_PIXELS: Final = 36_000_000  # a canvas for an 8K screen has 33 million
MAX_SIDE: Final = 65_535  # what JPEG and GIF can say; memory goes by rows too
OPAQUE: Final = 255
DECODER: Final = f"pillow-{PIL.__version__}+deflate-{version('deflate')}"
_STRIP_PIXELS: Final = 2**18  # what is made of so many stays in a processor's cache, and takes no fresh pages


class View(Hashable, Protocol):
    """Makes of a picture what somebody looks at; equal ones make equal views."""

    def __call__(self, image: Image.Image, /) -> Pixels:
        """The view: uint8, not writable by others; ``image`` is RGB, and left as it is."""
        ...


def image_of(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture that a PNG, JPEG or GIF file shows (its first frame); the content decides which, never a name.

    Transparency is laid on white, 16-bit grey is scaled to 8 bits. Texts, profiles and further frames are passed over.
    A JPEG is decoded at its full size: what its decoder scales down while decoding are other pixels than those that
    networks were trained on.

    Args:
        data: the whole file.
        max_pixels: width times height above which no memory is spent on it.

    Returns:
        Of mode RGB.

    Raises:
        UnfinishedImage: these are the first bytes of an image, or bytes with a hole at their end; more may follow.
        UnreadableImage: more bytes would not help.
        MemoryError: there is no room for its pixels.
    """
    frame = measured(data, max_pixels)
    return _decoded(frame, frame.picture(data))[0]


def pixels_of(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Pixels:
    """The pixels of :func:`image_of`: uint8, RGB, shape (height, width, 3), contiguous and not writable."""
    image = image_of(data, max_pixels=max_pixels)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top, strip in _strips(image):
        pixels[top : top + strip.height] = _rows(strip)
    pixels.setflags(write=False)
    return pixels


def picture_of(data: bytes, views: Iterable[View] = (), *, max_pixels: int = MAX_PIXELS) -> Picture:
    """What is to be known of a file, and these views of it; raises what :func:`image_of` does."""
    frame = measured(data, max_pixels)
    return shown(frame, frame.picture(data), views).picture(data)


@dataclass(frozen=True, slots=True)
class Shown:
    """What was found out of a picture while its pixels were at hand."""

    frame: Frame
    digest: str
    views: Mapping[Hashable, Pixels]

    def picture(self, data: bytes, written_ns: int | None = None) -> Picture:
        """The picture of a file that shows this."""
        return Picture(
            data=data,
            sha256=hashlib.sha256(data).hexdigest(),
            width=self.frame.width,
            height=self.frame.height,
            pixels_digest=self.digest,
            format=self.frame.format,
            views=self.views,
            written_ns=written_ns,
        )


def shown(frame: Frame, essence: bytes, views: Iterable[View]) -> Shown:
    """Decode the first picture of a file alone, as :meth:`Frame.picture` gives it; raises as :func:`image_of` does."""
    image, digest = _decoded(frame, essence)
    return Shown(frame, digest or _looked_through(image).digest, {view: view(image) for view in views})


def measured(data: bytes, max_pixels: int) -> Frame:
    """What the file says it is; raises UnfinishedImage, or UnreadableImage for what is not worth decoding."""
    frame = measure(data)
    if frame.width * frame.height > max_pixels:
        raise UnreadableImage(f"{frame.width} × {frame.height} pixels are more than the {max_pixels} allowed")
    if max(frame.width, frame.height) > MAX_SIDE:
        raise UnreadableImage(f"{frame.width} × {frame.height}: no side may have more than {MAX_SIDE} pixels")
    return frame


def _decoded(frame: Frame, essence: bytes) -> tuple[Image.Image, str | None]:
    """The picture, RGB, and the digest of its pixels where that came of itself."""
    try:
        if frame.format == "png":
            if (canvas := _canvas(frame, essence)) is not None:
                return canvas
            with _AlphaAside(io.BytesIO(essence)) as image:
                _load(image, frame, essence)
                if not image.aside:
                    return _rgb(image), None
                look = _looked_through(image)
                if not look.transparent:
                    return image, look.digest
        with Image.open(io.BytesIO(essence), formats=(frame.format,)) as image:
            _load(image, frame, essence)
            return _rgb(image), None
    except (UnreadableImage, MemoryError):
        raise
    except Exception as fault:  # Pillow and those below it raise what they like
        raise UnreadableImage(f"it is a complete {frame.format} file that cannot be decoded: {fault}") from fault


def _canvas(frame: Frame, essence: bytes) -> tuple[Image.Image, str] | None:
    """An opaque RGBA PNG without filters, and its digest, in a third of the time that Pillow takes; None for others."""
    pixels = unfiltered_rgba(essence)
    if pixels is None:
        return None
    image = Image.new("RGB", (frame.width, frame.height), None)
    look = _Look(frame.width, frame.height)
    rows = min(frame.height, _rows_in_a_strip(frame.width))
    buffer = np.empty((rows, 4 * frame.width), np.uint8)
    for top in range(0, frame.height, rows):
        strip = buffer[: min(rows, frame.height - top)]
        np.copyto(strip, pixels[top : top + len(strip)])
        look.at(strip.data)
        if look.transparent:
            return None
        decoder = PyDecoder("RGB")
        decoder.setimage(image.im, (0, top, frame.width, top + len(strip)))
        decoder.set_as_raw(strip.data, "RGBX")  # type: ignore[arg-type]  # any buffer will do
    return image, look.digest


class _AlphaAside(PngImageFile):
    """An RGBA PNG comes as RGB, its alpha in the byte of a pixel that Pillow leaves unused there.

    Canvases are RGBA and opaque: they need no conversion then, which would cost as much as half the decoding.
    """

    aside = False

    def _open(self) -> None:
        super()._open()
        if self.mode == "RGBA" and all(tile.args == "RGBA" for tile in self.tile):
            self._mode, self.aside = "RGB", True
            self.tile = [tile._replace(args="RGBX") for tile in self.tile]


def _load(image: ImageFile, frame: Frame, essence: bytes) -> None:
    """Decode it; raise UnreadableImage where it shows other than it says."""
    image.load()
    if image.size != (frame.width, frame.height):
        raise UnreadableImage(f"it is a {frame.format} file whose picture has another size than it says")
    # Pillow leaves rows black that a PNG's data stop short of; to count them costs as much as to decode them.
    if frame.format == "png" and (frame.interlaced or not _last_row(image).any()) and not has_all_rows(essence):
        raise UnreadableImage("it is a complete png file in which rows are missing")


def _last_row(image: Image.Image) -> npt.NDArray[Any]:
    return np.asarray(image.crop((0, image.height - 1, image.width, image.height)))


def _rgb(image: Image.Image) -> Image.Image:
    deep = image.mode.startswith("I") or image.mode == "F"
    if deep or _may_be_seen_through(image):
        canvas = Image.new("RGB", image.size)
        for top, strip in _strips(image):
            canvas.paste(_from_deep_grey(strip) if deep else _on_white(strip), (0, top))
        return canvas
    return image if image.mode == "RGB" else image.convert("RGB")


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """One after the other, so that what a conversion needs beside its result is little."""
    rows = _rows_in_a_strip(image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _rows_in_a_strip(width: int) -> int:
    return max(1, _STRIP_PIXELS // width)


def _may_be_seen_through(image: Image.Image) -> bool:
    return "A" in image.mode or "a" in image.mode or "transparency" in image.info


def _on_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")


def _from_deep_grey(image: Image.Image) -> Image.Image:
    # Pillow would cut off at 255 where the file means 65535.
    depth = np.asarray(image).astype(np.float64)
    grey = np.clip(np.rint(depth / 257), 0, 255).astype(np.uint8)
    if (clear := image.info.get("transparency")) is not None:
        grey[depth == clear] = 255
    return Image.fromarray(grey)


def _rows(image: Image.Image) -> Pixels:
    return np.frombuffer(image.tobytes(), np.uint8).reshape(image.height, image.width, 3)


def _looked_through(image: Image.Image) -> _Look:
    look = _Look(*image.size)
    for _, strip in _strips(image):
        look.at(strip.tobytes("raw", "RGBX"))  # as Pillow holds them: nothing is packed for it
    return look


class _Look:
    """At all pixels of an RGB image once, four bytes each, of which the last is alpha or 255."""

    def __init__(self, width: int, height: int) -> None:
        self._digest = xxhash.xxh3_128(f"{width}x{height}:".encode())
        self.transparent = False  # a fourth byte is less than 255

    def at(self, pixels: bytes | memoryview) -> None:
        self._digest.update(pixels)
        all_have = int(np.bitwise_and.reduce(np.frombuffer(pixels, "<u4")))
        self.transparent |= all_have >> 24 != OPAQUE

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()
