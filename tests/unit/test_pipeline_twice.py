"""A file that is written once more between being seen at rest and being read is told of once for what was read."""

from __future__ import annotations

from dataclasses import replace

from fakes import in_no_time, picture, rest
from test_pipeline import House


def written(content: str, at_ns: int):
    return replace(picture(content), written_ns=at_ns)


@in_no_time
async def test_what_was_read_under_its_next_time_is_not_told_again_when_that_time_is_seen():
    house = House()
    async with house.running():
        one = house.write("first", name="CDC_occupancy.png")
        house.decoder.put(one.path, written("second", one.mtime_ns + 5))  # before anybody could read the first
        await rest()
        house.watcher.drop(replace(one, size=len(b"second"), mtime_ns=one.mtime_ns + 5))
    [(entry, verdict, kept, _)] = house.ledger.entries
    assert (entry.size, entry.mtime_ns, entry.sha256) == (len(b"second"), one.mtime_ns + 5, kept.sha256)
    assert house.sink.told == [verdict]
    assert len(house.pipeline.backlog) == 0


@in_no_time
async def test_new_content_under_an_old_time_is_told_of():
    house = House()
    async with house.running():
        one = house.write("first!", name="CDC_occupancy.png")
        house.decoder.put(one.path, written("first!", one.mtime_ns))
        await rest()
        house.decoder.put(one.path, written("second", one.mtime_ns))
        house.watcher.drop(one)
    assert house.ledger.outcomes() == ["judged", "judged"]


@in_no_time
async def test_what_is_handed_in_by_hand_is_judged_as_often_as_it_is_handed_in():
    house = House()
    async with house.running():
        for submission in (7, 8):
            one = house.write("first", name="CDC_occupancy.png", submission=submission)
            house.decoder.put(one.path, written("first", one.mtime_ns))
            await rest()
    assert [entry.submission for entry, *_ in house.ledger.entries] == [7, 8]
