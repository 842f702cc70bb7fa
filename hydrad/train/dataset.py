"""From labelled images to what a network learns from, is stopped by, and is tested on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from hydrad.classify.prepare import Preparation
from hydrad.config import Emulate
from hydrad.domain import Meaning, Pixels
from hydrad.errors import ConfigurationError
from hydrad.train import balance, split, struck, twins
from hydrad.train.examples import Examples, Truth, joined
from hydrad.train.labelled import Labelled
from hydrad.train.progress import Tell
from hydrad.train.reading import Gathered, decoded, read
from hydrad.train.split import Parting, Side
from hydrad.train.struck import Blow, Struck

MOST_LABELS: Final = 100
LONGEST_LABEL: Final = 39  # letters: it must fit into an EPICS string
LISTED: Final = 200  # images named in the metrics, per reason

_ORDER: Final = tuple(Meaning)  # good first, as people read tables


@dataclass(frozen=True, slots=True)
class Wish:
    """What kind of data set somebody wants."""

    preparation: Preparation
    seed: int = 1
    few: int = 10  # labels with fewer images are said to be few
    hold_out: Literal["auto", "run", "plot", "image"] = "auto"
    good_share: float = 1.0  # of the good images to learn from, above 0 to 1
    emulate: tuple[Emulate, ...] = ()
    threads: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Sets:
    """A data set in its parts; made-up images never stand among those that were taken, but in training."""

    labels: Mapping[str, Meaning]  # in the order of the numbers in truth
    training: Examples
    validation: Examples
    test: Examples
    made_for_validation: Struck | None  # emulated faults in good images of the validation part
    made_for_test: Struck | None
    test_records: tuple[Labelled, ...]
    golden: tuple[Labelled, ...]  # one image per label, held out where there is one
    facts: Mapping[str, JsonValue]  # for the metrics
    remarks: tuple[str, ...]  # sentences for whoever trains
    marked: npt.NDArray[np.bool_] | None = None  # where the test images' faults are, as in Struck; None: not known
    picture: Callable[[Labelled], Pixels] = decoded  # an image as it came
    strike: Callable[[Sequence[Blow]], Struck] | None = None  # more images with emulated faults


def gather(records: Sequence[Labelled], meanings: Mapping[str, Meaning], wish: Wish, tell: Tell) -> Sets:
    """Read labelled images, sort out what a network must not learn from, split the rest, and emulate faults.

    Args:
        records: labelled images of the plots to be served.
        meanings: of all labels that these plots have, with examples or without, and of those that are emulated.
        wish: what kind of data set.
        tell: hears of the progress; may raise Stopped.

    Raises:
        ConfigurationError: fewer than two labels have examples, or the split that was asked for is impossible.
    """
    remarks: list[str] = []
    labels = _labels(records, meanings, wish.emulate, remarks)
    found = read(records, wish.preparation, tell, threads=wish.threads)
    numbers = {name: n for n, name in enumerate(labels)}
    found, facts = _sifted(found, numbers, remarks)
    labels, numbers = _present(found, labels, wish.emulate, remarks)
    truth = np.array([numbers[record.label] for record in found.records], np.int64)
    origin = split.Origin(
        [record.plot for record in found.records],
        [record.run for record in found.records],
        twins.near(found.images, [(r.plot, r.label, r.run) for r in found.records]),
    )
    parting = split.part(truth, origin, few=wish.few, seed=wish.seed, asked=wish.hold_out)
    names = list(labels)
    counts = Counter(record.label for record in found.records)
    _remark(remarks, counts, parting, names, wish.few)
    sides = {side: parting.numbers(side) for side in Side}
    parts = {side: _examples(found, truth, chosen) for side, chosen in sides.items()}
    held = {side: [found.records[n] for n in chosen] for side, chosen in sides.items()}
    training, made = _struck(held, labels, numbers, wish, tell)
    thinned = balance.undersampled(parts[Side.TRAINING], labels, wish.good_share, wish.seed)
    if made[Side.VALIDATION] is None and len(np.unique(parts[Side.VALIDATION].truth)) == 0:
        raise ConfigurationError("labels: too few images to keep some apart for validation; label more")
    made_of: dict[str, JsonValue] = {
        **facts,
        "ignored": [*sorted(set(meanings) - set(labels))],
        "few": [name for name in names if 0 < counts[name] < wish.few],
        "split": {"kind": parting.hold_out, "warning": split.WARNINGS[parting.hold_out], "why": parting.why},
        "labels": [
            {"label": name, "meaning": labels[name].value}
            | {side.name.lower(): int((parts[side].truth == n).sum()) for side in Side}
            for n, name in enumerate(names)
        ],
        "runs": {side.name.lower(): len({r.run for r in held[side] if r.run is not None}) for side in Side},
        "good_share": wish.good_share,
        "learned_from": len(thinned),
        "emulated": _emulated(training),
        "notes": [*remarks],
    }
    return Sets(
        labels=labels,
        training=thinned if training is None else joined(thinned, training.examples),
        validation=parts[Side.VALIDATION],
        test=parts[Side.TEST],
        made_for_validation=made[Side.VALIDATION],
        made_for_test=made[Side.TEST],
        test_records=tuple(held[Side.TEST]),
        golden=_golden(held, names),
        facts=made_of,
        remarks=tuple(remarks),
        strike=lambda blows: struck.struck(blows, numbers, wish.preparation, tell, threads=wish.threads),
    )


def _labels(
    records: Sequence[Labelled], meanings: Mapping[str, Meaning], specs: Sequence[Emulate], remarks: list[str]
) -> dict[str, Meaning]:
    """The labels that have examples, or will have by emulation: good ones first, then by name."""
    counts = Counter(record.label for record in records)
    wanted = {*counts, *(spec.label for spec in specs)}
    remarks += [f"label {name!r} has no examples: ignored" for name in sorted(set(meanings) - wanted)]
    if faults := [f"label {name!r}: is longer than {LONGEST_LABEL} letters" for name in sorted(wanted)
                  if len(name) > LONGEST_LABEL]:  # fmt: skip
        raise ConfigurationError(*faults)
    if len(wanted) > MOST_LABELS:
        raise ConfigurationError(f"labels: {len(wanted)} of them; a model has at most {MOST_LABELS}")
    if unknown := sorted(wanted - set(meanings)):
        raise ConfigurationError(*(f"label {name!r}: nobody said what it means" for name in unknown))
    ordered = sorted(wanted, key=lambda name: (_ORDER.index(meanings[name]), name))
    if len(ordered) < 2:
        raise ConfigurationError(
            f"labels: a model tells at least two apart; of {', '.join(ordered) or 'none'} there are examples"
        )
    return {name: meanings[name] for name in ordered}


def _sifted(found: Gathered, numbers: Mapping[str, int], remarks: list[str]) -> tuple[Gathered, dict[str, JsonValue]]:
    """Without contradictions and copies; and what was left out."""
    truth = np.array([numbers[record.label] for record in found.records], np.int64)
    contradicting = twins.contradictions(found.pixels, truth)
    copied = np.setdiff1d(twins.copies(found.pixels, truth), contradicting)
    keep = np.setdiff1d(np.arange(len(truth)), np.union1d(contradicting, copied))
    if found.unread:
        first = found.unread[0]
        remarks.append(
            f"{len(found.unread)} images cannot be read ({first.record.path.name}: {first.reason}): left out"
        )
    if len(contradicting):
        pair = next(r for n, r in enumerate(found.records) if n == contradicting[0])
        remarks.append(
            f"{len(contradicting)} images have equal pixels and different labels (one is {pair.sha256[:12]} of "
            f"{pair.plot}): left out until they are relabelled"
        )
    if len(copied):
        remarks.append(f"{len(copied)} images have the same pixels as another of the same label: left out")
    facts: dict[str, JsonValue] = {
        "images": len(keep),
        "unreadable": [f"{one.record.sha256}: {one.reason}" for one in found.unread[:LISTED]],
        "contradicting": [
            f"{found.records[n].sha256} {found.records[n].plot}: {found.records[n].label}"
            for n in contradicting[:LISTED]
        ],
        "copies": len(copied),
    }
    kept = replace(
        found,
        records=tuple(found.records[n] for n in keep),
        images=found.images if len(keep) == len(truth) else found.images[keep],
        pixels=tuple(found.pixels[n] for n in keep),
    )
    return kept, facts


def _present(
    found: Gathered, labels: Mapping[str, Meaning], specs: Sequence[Emulate], remarks: list[str]
) -> tuple[dict[str, Meaning], dict[str, int]]:
    """The labels that still have examples, after what could not be used was left out."""
    has = {record.label for record in found.records} | {spec.label for spec in specs}
    remarks += [f"none of the images labelled {name!r} could be used: ignored" for name in labels if name not in has]
    kept = {name: meaning for name, meaning in labels.items() if name in has}
    if len(kept) < 2:
        raise ConfigurationError(
            f"labels: a model tells at least two apart; usable examples are there of {', '.join(kept) or 'none'}"
        )
    return kept, {name: n for n, name in enumerate(kept)}


def _remark(remarks: list[str], counts: Counter[str], parting: Parting, names: Sequence[str], few: int) -> None:
    remarks += [
        f"label {name!r} has {counts[name]} image(s), which is few: trained all the same"
        for name in names
        if 0 < counts[name] < few
    ]
    remarks += [
        f"label {names[n]!r} cannot be split: all of it is learned from, nothing is left to test it on"
        for n in parting.alone
    ]
    remarks.append(parting.says)


def _examples(found: Gathered, truth: Truth, chosen: npt.NDArray[np.int64]) -> Examples:
    return Examples(
        found.images[chosen],
        truth[chosen],
        tuple((found.records[n].plot,) for n in chosen),
        None,
        tuple(found.records[n].sha256 for n in chosen),
    )


def _struck(
    held: Mapping[Side, Sequence[Labelled]],
    labels: Mapping[str, Meaning],
    numbers: Mapping[str, int],
    wish: Wish,
    tell: Tell,
) -> tuple[Struck | None, dict[Side, Struck | None]]:
    """Emulated faults for each part, made from that part's own good images."""
    made: dict[Side, Struck | None] = dict.fromkeys(Side)
    for side in Side if wish.emulate else ():
        good = [record for record in held[side] if labels[record.label] is Meaning.GOOD]
        seed = wish.seed * 4 + side
        if side is Side.TRAINING:
            blows = struck.for_training(good, wish.emulate, seed)
        else:
            blows = struck.for_holding_out(good, wish.emulate, seed)
        if blows:
            made[side] = struck.struck(blows, numbers, wish.preparation, tell, threads=wish.threads)
    return made[Side.TRAINING], made


def _emulated(made: Struck | None) -> list[JsonValue]:
    counts = Counter(group[1] for group in made.examples.groups) if made is not None else Counter[str]()
    return [{"name": name, "images": count} for name, count in sorted(counts.items())]


def _golden(held: Mapping[Side, Sequence[Labelled]], names: Sequence[str]) -> tuple[Labelled, ...]:
    everything = list(chain(held[Side.TEST], held[Side.VALIDATION], held[Side.TRAINING]))
    firsts = (next((record for record in everything if record.label == name), None) for name in names)
    return tuple(record for record in firsts if record is not None)
