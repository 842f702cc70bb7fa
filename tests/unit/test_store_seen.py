"""What was dealt with before is remembered as a dictionary would, in less room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hydrad.domain import Outcome
from hydrad.store.columns import digest
from hydrad.store.outbox import seen
from hydrad.store.outbox.seen import Seen, Sighting

PATHS = [f"/dumps/{n}.png" for n in range(6)]
SIGHTINGS = st.builds(
    Sighting,
    size=st.integers(0, 2**40),
    mtime_ns=st.integers(-(2**70), 2**70),
    outcome=st.sampled_from([one for one in Outcome if one is not Outcome.PENDING]),
    reason=st.sampled_from(["", "", "it is no PNG, JPEG or GIF", "\udcff"]),
    sha256=st.none() | st.binary(min_size=32, max_size=32).filter(any).map(bytes.hex),
)
ACTS = st.lists(st.tuples(st.sampled_from(PATHS), st.none() | SIGHTINGS), max_size=30)


@given(ACTS)
def test_it_remembers_what_a_dictionary_would(acts: list[tuple[str, Sighting | None]]) -> None:
    memory, true = Seen(), dict[str, Sighting]()
    for path, sighting in acts:
        if sighting is None:
            memory.drop([digest(path)])
            true.pop(path, None)
        else:
            memory.put([(digest(path), sighting.pack())])
            true[path] = sighting
        assert [memory.get(one) for one in PATHS] == [true.get(one) for one in PATHS]
    assert len(memory) == len(true)
    assert dict(memory) == {digest(path): sighting.pack() for path, sighting in true.items()}


def test_a_key_that_is_found_across_two_rows_is_not_the_files() -> None:
    memory = Seen()
    key = bytes(16)
    last, first = bytes(2) + b"\x01" * 13 + bytes(1), bytes(15) + b"\x01"  # of the same shelf as the key
    facts = Sighting(1, 1, Outcome.JUDGED, "", None).pack()
    memory.put([(last, facts), (first, facts)])
    rows = memory._shelves[0]
    assert rows.find(key) > 0
    assert rows.find(key) % (16 + len(facts))
    memory.drop([key])
    assert dict(memory) == {last: facts, first: facts}
    memory.put([(key, facts)])
    assert dict(memory) == {last: facts, first: facts, key: facts}
    memory.drop([key])
    assert dict(memory) == {last: facts, first: facts}


def test_many_files_share_few_shelves() -> None:
    memory = Seen()
    paths = [f"/dumps/{n}.png" for n in range(3 * seen._SHELVES)]
    for n, path in enumerate(paths):
        memory.put([(digest(path), Sighting(n, n, Outcome.JUDGED, "", f"{n:064x}").pack())])
    for n, path in enumerate(paths):
        found = memory.get(path)
        assert found is not None
        assert found.size == n
    memory.drop(digest(path) for path in paths[::2])
    assert [memory.get(path) is None for path in paths] == [n % 2 == 0 for n in range(len(paths))]
