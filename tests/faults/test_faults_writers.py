"""Producers that write as they like: what a file ends as is judged, and nothing that it never was."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from trial import LONG, Trial, picture

ROUNDS = 10 if LONG else 1


@pytest.mark.long
def test_a_name_that_gets_new_content_before_it_was_read_is_judged_as_what_it_ended_as(
    trial: Callable[..., Trial],
) -> None:
    with trial("the same name with new content before it was read") as hall:
        hall.start()
        for _ in range(ROUNDS):
            for n in range(5):
                with hall.frozen():  # so that nobody can have read it
                    for _ in range(3):
                        hall.write(f"CDC_p{n}.png")
                hall.tries += 1
            for n in range(5, 10):
                for way in range(20):
                    if way % 2:
                        hall.write(f"CDC_p{n}.png")
                    else:
                        write_over(hall, hall.root / f"CDC_p{n}.png", picture())
                    hall.tries += 1
            hall.settled()


def write_over(hall: Trial, path: Path, data: bytes) -> None:
    """In place, in one go."""
    hall.remember(path, data)
    path.write_bytes(data)


def noise(seed: int, size: int = 160) -> bytes:
    """A PNG of some ten thousand bytes."""
    data = io.BytesIO()
    Image.frombytes("L", (size, size), random.Random(seed).randbytes(size * size)).save(data, "png")
    return data.getvalue()


@pytest.mark.long
def test_a_file_that_is_written_in_200_slow_pieces_is_judged_whole(trial: Callable[..., Trial]) -> None:
    with trial("a producer that writes a file in 200 slow pieces", patience_s=3) as hall:
        hall.start()
        chance = random.Random(6)
        for file in range(5 if LONG else 1):
            data = noise(file)
            path = hall.root / f"CDC_slow{file}.png"
            hall.remember(path, data)
            hall.tries += 1
            step = len(data) // 200 + 1
            with path.open("wb", buffering=0) as out:
                for begin in range(0, len(data), step):
                    out.write(data[begin : begin + step])
                    time.sleep(chance.choice([0.0, 0.05, 0.3, 1.5] if LONG else [0.0, 0.0, 0.0, 0.05]))
            if file % 2:  # another way: opened and closed for each piece
                data = noise(file + 100)
                path = hall.root / f"CDC_opened{file}.png"
                hall.remember(path, data)
                for begin in range(0, len(data), step):
                    with path.open("ab", buffering=0) as out:
                        out.write(data[begin : begin + step])
                    time.sleep(0.05)


@pytest.mark.long
def test_a_file_that_changes_while_it_is_read_is_judged_as_what_it_ended_as(trial: Callable[..., Trial]) -> None:
    with trial("a file that changes while it is read") as hall:
        hall.start()
        pictures = [noise(n, 700) for n in range(2)]
        path = hall.root / "CDC_restless.png"
        for _ in range(ROUNDS):
            for n in range(60):  # each longer than it takes to read one
                hall.tries += 1
                hall.remember(path, pictures[n % 2])
                path.write_bytes(pictures[n % 2])
                time.sleep((n % 7) / 100)
            hall.settled()
