"""Whatever a file is called and wherever a link leads: each is judged, by one name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from trial import LONG, Trial, picture

NAMES: list[str | bytes] = [
    "CDC plot with spaces.png",
    " CDC_leading.png",
    "CDC_trailing .png",
    "CDC_two\nlines.png",
    "CDC_tab\tbell\a.png",
    "CDC_'quotes\" and `more`.png",
    "CDC_$(reboot); rm -rf.png",
    "CDC_%s%n%d.png",
    "CDC_{braces}.png",
    "CDC_back\\slash\\udcff.png",
    "-rf.png",
    "CDC_\u0441\u043f\u0435\u043a\u0442\u0440_\u03bc\u2192e\u03b3 \N{COLLISION SYMBOL}.png",
    "CDC_\u202egnp.png",
    "CDC_e\u0301.png",
    "CDC_\u00e9.png",
    "cdc_CASE.PNG",
    "CDC_case.png",
    "CDC_Case.png",
    "CDC:case.png",
    f"CDC_{'long' * 61}.png",
    b"CDC_latin1_\xe9\xff.png",
    b"CDC_\xf0\x9f.png",
    b"CDC_\xed\xb3\xbf.png",
    "Run 12 (new)/CDC occupancy.png",
    b"r\xfcn\n7/CDC_\xb5.png",
    "a.png/CDC_in_a_folder_called_so.png",
    "_.png",
    "CDC_.png",
    "CDC.png",
]


@pytest.mark.long
def test_every_name_that_a_file_can_have_is_judged_once(trial: Callable[..., Trial]) -> None:
    with trial("names with spaces, newlines, other bytes than UTF-8") as hall:
        for name in NAMES[::2]:  # some before it listens
            hall.write(name)
        hall.start()
        for name in NAMES[1::2]:
            hall.write(name)
        for _ in range(10 if LONG else 1):
            hall.tries += 1
            for name in NAMES:
                hall.write(name)
            hall.settled()
        for folder in (b"\xff\xfe folder", b"new\nline"):
            (hall.root / os.fsdecode(folder)).mkdir()
            for n in range(10):
                hall.write(folder + b"/CDC_%d.png" % n)


@pytest.mark.long
def test_links_lead_to_every_file_by_one_name_and_never_in_circles(trial: Callable[..., Trial]) -> None:
    with trial("links: feeds, loops, out of the root") as hall:
        outside = hall.daemon.home / "outside"
        (outside / "deeper").mkdir(parents=True)
        (outside / "back").symlink_to(hall.root)
        (outside / "up").symlink_to("..")

        def write(path: Path, seen_as: Path) -> None:
            data = picture()
            aside = hall.daemon.home / "aside.png"
            aside.write_bytes(data)
            hall.remember(seen_as, data)
            aside.rename(path)

        hall.write("inside/CDC_own.png")
        write(outside / "deeper" / "CDC_before.png", hall.root / "out" / "deeper" / "CDC_before.png")
        (hall.root / "out").symlink_to(outside)
        (hall.root / "itself").symlink_to(hall.root)
        (hall.root / "inside" / "parent").symlink_to("..")
        (hall.root / "ring").symlink_to(hall.root / "ring")
        hall.start()
        (hall.root / "z_inside").symlink_to(hall.root / "inside")  # which has a place of its own
        (hall.root / "CDC_dangling.png").symlink_to(outside / "late.png")
        hall.settled()
        write(outside / "deeper" / "CDC_after.png", hall.root / "out" / "deeper" / "CDC_after.png")
        write(outside / "late.png", hall.root / "CDC_dangling.png")
        hall.remember(hall.root / "out" / "late.png", (outside / "late.png").read_bytes())
        feed = hall.root / "CDC_feed.png"
        store = hall.daemon.home / "store"
        store.mkdir()
        for n in range(200 if LONG else 10):
            hall.tries += 1
            data = picture()
            (store / f"{n}.png").write_bytes(data)
            hall.remember(feed, data)
            (hall.root / ".next").symlink_to(store / f"{n}.png")
            (hall.root / ".next").rename(feed)
            if n % 3:
                hall.settled()
