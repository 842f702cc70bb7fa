"""A trained model as a folder: read only when it is exactly what was written, written all at once or not at all.

``bundle.json`` lists every file with its SHA-256 and carries a seal: the SHA-256 of its own text with the seal blanked.
This keeps out damage and mistakes. It is no signature: who may write to the folder of models is a matter of its rights,
so what everybody on the host could have written is not read.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
import numpy.typing as npt

from hydrad.classify import rights
from hydrad.classify.arrays import opened
from hydrad.classify.manifest import (
    EXPORT,
    GOLDEN,
    MODEL,
    NOVELTY,
    Calibrated,
    Calibration,
    Manifest,
    Precision,
    export_in,
    parse,
)
from hydrad.classify.novelty import Novelty
from hydrad.domain import Pixels
from hydrad.durable import sync_folder
from hydrad.errors import BundleError

MANIFEST = "bundle.json"
REQUIRED = (MODEL, GOLDEN)
LARGEST_MANIFEST = 4 * 1024 * 1024  # bytes
BLANK = "0" * 64
_OTHERS: Final[tuple[Calibrated, ...]] = get_args(Calibrated)
_LOGITS_IN = "logits_"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder whose every byte is what its manifest says, and the precision in which it is computed."""

    folder: Path
    manifest: Manifest
    precision: Precision = "float32"

    @property
    def id(self) -> str:
        """The model's name; its folder is called the same."""
        return self.manifest.id

    @property
    def model(self) -> Path:
        """The network, as Keras saved it."""
        return self.folder / MODEL

    @property
    def export(self) -> Path | None:
        """The network as the CPU runtime reads it, weights beside it; None where it could not be exported."""
        return self.folder / EXPORT[0] if all(part in self.manifest.files for part in EXPORT) else None

    @property
    def precisions(self) -> Sequence[Precision]:
        """In which its export may be computed."""
        return () if self.export is None else ("float32", *self.manifest.precisions)

    def computed_in(self, precision: Precision) -> Bundle:
        """The same bundle with the calibration of another precision.

        Raises:
            BundleError: it was not measured in this precision.
        """
        if precision != "float32" and precision not in self.manifest.precisions:
            raise BundleError(f"it was not calibrated for {precision}")
        return replace(self, precision=precision)

    @property
    def temperature(self) -> float:
        """The logits are divided by it before the softmax."""
        return self._calibration.temperature

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Suggested, per label."""
        return self._calibration.thresholds

    @property
    def _calibration(self) -> Calibration | Manifest:
        return self.manifest if self.precision == "float32" else self.manifest.precisions[self.precision]

    def novelty(self) -> Novelty | None:
        """How to tell unfamiliar images; None when the bundle cannot."""
        if (name := novelty_in(self.precision)) not in self.manifest.files:
            return None
        return Novelty.from_bytes(self._bytes(name))

    def golden(self) -> Golden:
        """The pictures that every runtime must answer alike."""
        golden = Golden.from_bytes(self._bytes(GOLDEN))
        if golden.logits.shape[1] != len(self.manifest.labels):
            raise BundleError("its golden outputs are not of as many labels as it has")
        return golden.computed_in(self.precision)

    def _bytes(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError as fault:
            raise BundleError(f"{name}: {fault.strerror}") from fault


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Pictures as they came, and the logits that the network gave for them where it was trained."""

    pictures: tuple[Pixels, ...]
    logits: npt.NDArray[np.float32]  # shape (pictures, labels), before temperature and softmax
    others: Mapping[Calibrated, npt.NDArray[np.float32]] = field(default_factory=dict)  # the same in other precisions

    def computed_in(self, precision: Precision) -> Golden:
        """What a network gave in this precision; raise BundleError where nobody asked it."""
        if precision == "float32":
            return self
        if precision not in self.others:
            raise BundleError(f"it has no golden outputs in {precision}")
        return replace(self, logits=self.others[precision])

    def to_bytes(self) -> bytes:
        """As the npz file that lies in a bundle."""
        file = io.BytesIO()
        arrays: dict[str, Any] = {f"picture_{n}": pixels for n, pixels in enumerate(self.pictures)}
        arrays |= {f"{_LOGITS_IN}{precision}": logits for precision, logits in self.others.items()}
        np.savez_compressed(file, logits=self.logits, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Golden:
        """Read what :meth:`to_bytes` wrote; raise BundleError when it is something else."""
        with opened(data, "golden images") as file:
            logits = np.asarray(file["logits"], np.float32)
            pictures = tuple(file[f"picture_{n}"] for n in range(len(logits)))
            others: dict[Calibrated, npt.NDArray[np.float32]] = {
                precision: np.asarray(file[f"{_LOGITS_IN}{precision}"], np.float32)
                for precision in _OTHERS
                if f"{_LOGITS_IN}{precision}" in file
            }
        tables = (logits, *others.values())
        if logits.ndim != 2 or not pictures or not all(np.isfinite(table).all() for table in tables):
            raise BundleError("its golden outputs are not a table of finite numbers")
        if any(table.shape != logits.shape for table in tables):
            raise BundleError("its golden outputs are not of one shape in all precisions")
        if any(p.dtype != np.uint8 or p.ndim != 3 or p.shape[2] != 3 or not p.size for p in pictures):
            raise BundleError("its golden images are not all uint8 RGB")
        return cls(pictures, logits, others)


def novelty_in(precision: Precision) -> str:
    """The file that tells unfamiliar images by embeddings of this precision."""
    return NOVELTY if precision == "float32" else f"{Path(NOVELTY).stem}-{precision}.npz"


def read(folder: Path) -> Bundle:
    """Check a bundle's schema and every byte of its files.

    Raises:
        BundleError: naming the bundle and what is wrong with it; also when a file is missing or one too many.
    """
    return _named(folder, folder.name)


def _named(folder: Path, name: str) -> Bundle:
    try:
        manifest = _manifest(folder)
        rights.check(folder)
        _check(folder, manifest, name)
    except OSError as fault:
        raise BundleError(f"model {name!r} refused: {fault.filename or folder}: {fault.strerror}") from fault
    except BundleError as fault:
        raise BundleError(f"model {name!r} refused: {fault}") from fault
    return Bundle(folder, manifest)


def present(models: Path, name: str) -> Bundle:
    """The bundle of this name, as it was when it was written.

    Raises:
        BundleError: it is not there, or damaged.
    """
    if models / name not in listed(models):
        raise BundleError(f"there is no bundle {name!r} in {models}")
    return read(models / name)


def write(models: Path, manifest: Manifest, parts: Mapping[str, bytes | Path]) -> Bundle:
    """Make the folder ``models/<id>`` appear, complete, or raise and leave nothing behind.

    Args:
        models: the folder of bundles; it is made when it is not there.
        manifest: its ``files`` are filled in here.
        parts: content, or a file to copy, by name inside the bundle; ``model.keras`` and ``golden.npz`` among them.

    Raises:
        BundleError: when there is a model of that name already, or the result would not be accepted by :func:`read`.
    """
    target = models / manifest.id
    _with_files(manifest, dict.fromkeys(parts, BLANK))  # names are checked before anything is written by them
    try:
        if target.exists():
            raise BundleError(f"model {manifest.id!r} not written: {target} is there already")
        models.mkdir(parents=True, exist_ok=True)
        sealed = _drafted(models, manifest, parts, target)
    except OSError as fault:
        raise BundleError(f"model {manifest.id!r} not written: {fault.filename}: {fault.strerror}") from fault
    return Bundle(target, sealed)


def _drafted(models: Path, manifest: Manifest, parts: Mapping[str, bytes | Path], target: Path) -> Manifest:
    draft = Path(tempfile.mkdtemp(prefix=f".{manifest.id}.", dir=models))
    try:
        draft.chmod(0o755)
        for name, content in parts.items():
            _put(draft / name, content)
        sealed = _with_files(manifest, {name: _digest(draft / name) for name in sorted(parts)})
        _put(draft / MANIFEST, _sealed(sealed))
        _named(draft, manifest.id)
        draft.rename(target)
        sync_folder(models)
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # renamed away when all went well
    return sealed


def _with_files(manifest: Manifest, digests: Mapping[str, str]) -> Manifest:
    return parse({**manifest.model_dump(mode="json"), "files": dict(digests)})


def listed(models: Path) -> Sequence[Path]:
    """The folders below ``models`` that hold a bundle, by name; drafts that somebody is writing are left out."""
    if not models.is_dir():
        return []
    return sorted(
        folder for folder in models.iterdir() if (folder / MANIFEST).is_file() and not folder.name.startswith(".")
    )


def _manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    if path.is_symlink() or not path.is_file():
        raise BundleError(f"{MANIFEST} is missing")
    if path.stat().st_size > LARGEST_MANIFEST:
        raise BundleError(f"{MANIFEST} is larger than {LARGEST_MANIFEST} bytes")
    text = path.read_bytes()
    try:
        document = json.loads(text)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as fault:
        raise BundleError(f"{MANIFEST} is no JSON: {fault}") from fault
    if not isinstance(document, dict) or not isinstance(seal := document.pop("seal", None), str):
        raise BundleError(f"{MANIFEST} has no seal")
    manifest = parse(document)
    if len(seal) != len(BLANK) or _seal(text.replace(seal.encode(), BLANK.encode(), 1)) != seal:
        raise BundleError(f"{MANIFEST} was changed after it was written")
    return manifest


def _check(folder: Path, manifest: Manifest, called: str) -> None:
    faults = [f"it calls itself {manifest.id!r}, unlike its folder"] if manifest.id != called else []
    required = (*REQUIRED, *(part for precision in manifest.precisions for part in export_in(precision)))
    faults += [f"{name} is missing from its list of files" for name in required if name not in manifest.files]
    present = set(_files(folder)) - {MANIFEST}
    faults += [f"{name} is missing" for name in sorted(set(manifest.files) - present)]
    faults += [f"{name} does not belong to it" for name in sorted(present - set(manifest.files))]
    for name in sorted(present & set(manifest.files)):
        if not stat.S_ISREG((folder / name).lstat().st_mode):
            faults.append(f"{name} is no plain file")
        elif _digest(folder / name) != manifest.files[name]:
            faults.append(f"{name} is not the file it was (its SHA-256 differs)")
    if faults:
        raise BundleError("; ".join(faults))


def _files(folder: Path) -> Sequence[str]:
    """Everything below a folder that is not a folder, links to folders included."""
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]


def _sealed(manifest: Manifest) -> bytes:
    document = {**manifest.model_dump(mode="json"), "seal": BLANK}
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    # The seal stands last, so it is the last run of zeros that is replaced.
    before, _, after = text.rpartition(BLANK.encode())
    return before + _seal(text).encode() + after


def _seal(blanked: bytes) -> str:
    return hashlib.sha256(blanked).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _put(path: Path, content: bytes | Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        if isinstance(content, Path):
            with content.open("rb") as source:
                shutil.copyfileobj(source, file)
        else:
            file.write(content)
        file.flush()
        os.fsync(file.fileno())
