"""The rule of rest, on a clock that the test turns."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydrad.watchers.settling import Hint, Look, Settled, Settling, Sight

WALL = 1_700_000_000_000_000_000
P = "/data/CDC.png"


@dataclass(frozen=True)
class Told:
    size: int
    mtime_ns: int


class Bench:
    """A rule with its clock; the file system's clock runs along with it."""

    def __init__(self, *, hears: bool = True, trusted_age_s: float = 0.2, told: dict[str, Told] | None = None) -> None:
        self.now = 1000.0
        self.told = {} if told is None else told
        self.rule = Settling(settle_s=0.2, overdue_s=30.0, trusted_age_s=trusted_age_s, told=self.told.get, hears=hears)

    @property
    def wall_ns(self) -> int:
        return WALL + round((self.now - 1000.0) * 1e9)

    def look(self, size: int = 100, *, age_s: float = 0.0, inode: int = 1, ctime_age_s: float | None = None) -> Look:
        ctime_age_s = age_s if ctime_age_s is None else ctime_age_s
        return Look(size, self.wall_ns - round(age_s * 1e9), self.wall_ns - round(ctime_age_s * 1e9), inode)

    def see(self, hint: Hint, look: Look | None, path: str = P) -> None:
        self.rule.see(Sight(path, hint, look), now=self.now, wall_ns=self.wall_ns)

    def take(self) -> list[Settled]:
        taken = []
        while (settled := self.rule.take(now=self.now, wall_ns=self.wall_ns)) is not None:
            taken.append(settled)
        return taken

    def wait(self, seconds: float, look: Look | None = None) -> list[Settled]:
        """Let time pass and look at what is due; it looks like ``look``."""
        end = self.now + seconds
        taken = self.take()
        while (due_at := self.rule.next_due_at()) is not None and due_at <= end:
            self.now = max(self.now, due_at)
            for path in self.rule.due(self.now):
                self.see(Hint.FOUND, look, path)
            taken += self.take()
        self.now = end
        return taken


@pytest.fixture
def bench() -> Bench:
    b = Bench()
    b.now += 0.123456789  # off the whole second
    return b


def test_a_file_renamed_into_place_is_offered_at_once(bench: Bench) -> None:
    look = bench.look()
    bench.see(Hint.PLACED, look)
    assert bench.take() == [Settled(P, look, 0.0)]
    assert bench.rule.pending == 0


def test_a_file_that_its_writer_closed_is_offered_at_once(bench: Bench) -> None:
    bench.see(Hint.WRITING, bench.look(0))
    bench.now += 0.05
    bench.see(Hint.CLOSED, whole := bench.look(100))
    assert [settled.look for settled in bench.take()] == [whole]


def test_a_file_is_offered_after_it_rested(bench: Bench) -> None:
    look = bench.look()
    bench.see(Hint.FOUND, look)
    assert bench.wait(0.19, look) == []
    assert bench.rule.pending == 1
    (settled,) = bench.wait(0.02, look)
    assert settled.look == look
    assert settled.at_rest_s == pytest.approx(0.2)


def test_every_change_begins_the_rest_anew(bench: Bench) -> None:
    for n in range(10):
        bench.see(Hint.FOUND, bench.look(n))
        assert bench.wait(0.15, bench.look(n)) == []
    last = bench.rule.last_stamp(P)
    assert last is not None
    assert bench.wait(0.1, Look(9, last[1], last[1], 1)) != []


def test_a_file_that_somebody_has_open_rests_ten_times_as_long(bench: Bench) -> None:
    bench.see(Hint.WRITING, look := bench.look())
    bench.see(Hint.FOUND, look)
    assert bench.wait(1.9, look) == []
    assert len(bench.wait(0.2, look)) == 1


def test_a_file_opened_again_before_it_was_taken_waits_for_its_writer(bench: Bench) -> None:
    bench.see(Hint.CLOSED, bench.look(10))
    bench.see(Hint.WRITING, bench.look(20))
    assert bench.take() == []
    bench.see(Hint.CLOSED, whole := bench.look(30))
    assert [settled.look for settled in bench.take()] == [whole]


def test_a_file_that_never_rests_is_offered_now_and_then(bench: Bench) -> None:
    taken = []
    for n in range(1000):
        bench.see(Hint.WRITING, look := bench.look(n))
        taken += bench.wait(0.1, look)
    assert len(taken) == 3


def test_a_file_long_at_rest_is_offered_at_once_and_with_its_age(bench: Bench) -> None:
    bench.see(Hint.LEFT, bench.look(age_s=3600))
    (settled,) = bench.take()
    assert settled.at_rest_s == pytest.approx(3600)


def test_the_age_that_another_hosts_clock_gives_is_not_trusted() -> None:
    bench = Bench(hears=False, trusted_age_s=600)
    bench.now += 0.123
    look = bench.look(age_s=60)
    bench.see(Hint.LEFT, look)
    assert bench.take() == []
    (settled,) = bench.wait(0.3, look)
    assert settled.at_rest_s < 1


def test_a_set_back_time_of_writing_does_not_feign_rest(bench: Bench) -> None:
    look = bench.look(age_s=3600, ctime_age_s=0.01)
    bench.see(Hint.FOUND, look)
    assert bench.take() == []
    assert len(bench.wait(0.3, look)) == 1


def test_without_ears_a_file_on_a_slow_clock_rests_two_seconds() -> None:
    bench = Bench(hears=False)
    look = Look(100, WALL, WALL, 1)  # whole seconds: the next write may bear the same
    bench.see(Hint.FOUND, look)
    assert bench.wait(1.9, look) == []
    assert len(bench.wait(0.2, look)) == 1


def test_what_happens_now_comes_before_what_lay_there(bench: Bench) -> None:
    bench.see(Hint.LEFT, bench.look(age_s=50), "b")
    bench.see(Hint.LEFT, bench.look(age_s=500), "a")
    bench.see(Hint.PLACED, bench.look(), "now")
    assert [settled.path for settled in bench.take()] == ["now", "a", "b"]


def test_each_sighting_is_offered_once(bench: Bench) -> None:
    look = bench.look()
    bench.see(Hint.FOUND, look)
    bench.see(Hint.FOUND, look)
    assert len(bench.wait(1, look)) == 1
    for hint in (Hint.FOUND, Hint.LEFT, Hint.WRITING, Hint.CLOSED, Hint.PLACED):
        bench.see(hint, look)
        assert bench.wait(5, look) == []


def test_new_content_with_the_old_size_and_time_is_offered_when_it_was_placed(bench: Bench) -> None:
    bench.see(Hint.CLOSED, look := bench.look(age_s=5))
    assert len(bench.take()) == 1
    bench.now += 60
    bench.see(Hint.PLACED, other := look._replace(inode=2, ctime_ns=bench.wall_ns))
    assert [settled.look for settled in bench.take()] == [other]


def test_new_content_with_the_old_size_and_time_is_offered_when_it_was_written_in_place(bench: Bench) -> None:
    bench.see(Hint.CLOSED, look := bench.look(age_s=5))
    assert len(bench.take()) == 1
    bench.now += 60
    bench.see(Hint.CLOSED, look._replace(ctime_ns=bench.wall_ns))
    assert len(bench.take()) == 1


def test_two_writes_in_one_tick_of_the_clock_are_both_offered(bench: Bench) -> None:
    bench.see(Hint.CLOSED, look := bench.look(age_s=0.001))
    assert len(bench.take()) == 1
    bench.now += 0.002
    bench.see(Hint.CLOSED, look)
    assert len(bench.take()) == 1
    bench.now += 60
    bench.see(Hint.CLOSED, look)
    assert bench.take() == []


def test_two_writes_in_one_second_of_a_slow_clock_are_both_offered() -> None:
    bench = Bench()
    look = Look(100, WALL, WALL, 1)
    bench.now += 0.5
    bench.see(Hint.CLOSED, look)
    assert len(bench.take()) == 1
    bench.now += 0.3
    bench.see(Hint.CLOSED, look)
    assert len(bench.take()) == 1


def test_a_close_without_a_write_ends_the_wait_and_is_no_news_of_its_own(bench: Bench) -> None:
    bench.see(Hint.WRITING, look := bench.look(age_s=0.001))
    bench.see(Hint.RELEASED, look)
    assert len(bench.take()) == 1
    bench.see(Hint.RELEASED, look)
    assert bench.wait(10, look) == []
    bench.see(Hint.RELEASED, other := bench.look(7))
    assert [settled.look for settled in bench.take()] == [other]


def test_a_change_of_mode_is_no_news(bench: Bench) -> None:
    bench.see(Hint.CLOSED, look := bench.look(age_s=5))
    assert len(bench.take()) == 1
    bench.now += 60
    bench.see(Hint.FOUND, look._replace(ctime_ns=bench.wall_ns))
    assert bench.wait(10, look._replace(ctime_ns=bench.wall_ns)) == []


def test_what_the_ledger_knows_is_not_offered() -> None:
    look = Bench().look(age_s=50)
    bench = Bench(told={P: Told(look.size, look.mtime_ns)})
    for hint in (Hint.LEFT, Hint.FOUND, Hint.CLOSED):
        bench.see(hint, look)
        assert bench.wait(5, look) == []
    bench.see(Hint.LEFT, look._replace(size=101))
    assert len(bench.wait(5, look._replace(size=101))) == 1


def test_what_the_ledger_knows_is_offered_when_somebody_just_replaced_it() -> None:
    look = Bench().look(age_s=50)
    bench = Bench(told={P: Told(look.size, look.mtime_ns)})
    bench.see(Hint.PLACED, look._replace(ctime_ns=bench.wall_ns))
    assert len(bench.take()) == 1


def test_an_unfinished_file_is_offered_again_at_growing_distances(bench: Bench) -> None:
    bench.see(Hint.CLOSED, look := bench.look())
    (settled,) = bench.take()
    distances, rests = [], []
    for _ in range(9):
        before = bench.now
        bench.rule.again(P, look, rested_s=settled.at_rest_s, now=bench.now)
        assert bench.rule.pending == 1
        (settled,) = bench.wait(5.0, look)
        distances.append(settled.at_rest_s - (rests[-1] if rests else 0.0))
        rests.append(settled.at_rest_s)
        bench.now = before + distances[-1]
    assert distances == pytest.approx([0.2, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0])


def test_a_round_does_not_hasten_an_unfinished_file(bench: Bench) -> None:
    bench.see(Hint.CLOSED, look := bench.look())
    bench.take()
    bench.rule.again(P, look, rested_s=4.0, now=bench.now)
    bench.now += 1
    bench.see(Hint.FOUND, look)
    assert bench.take() == []
    assert len(bench.wait(3.1, look)) == 1


def test_an_unfinished_file_is_offered_at_once_when_it_is_closed(bench: Bench) -> None:
    bench.see(Hint.CLOSED, look := bench.look())
    bench.take()
    bench.rule.again(P, look, rested_s=100.0, now=bench.now)
    bench.now += 0.01
    bench.see(Hint.CLOSED, grown := bench.look(200))
    (settled,) = bench.take()
    assert settled.look == grown
    assert settled.at_rest_s < 0.1


def test_asking_again_for_what_has_changed_already_changes_nothing(bench: Bench) -> None:
    bench.see(Hint.CLOSED, look := bench.look())
    bench.take()
    bench.see(Hint.CLOSED, grown := bench.look(200))
    bench.rule.again(P, look, rested_s=0.0, now=bench.now)
    assert [settled.look for settled in bench.take()] == [grown]
    assert bench.wait(10, grown) == []


def test_a_file_that_is_gone_before_it_rested_is_offered_so_that_it_is_missed(bench: Bench) -> None:
    bench.see(Hint.WRITING, look := bench.look())
    bench.see(Hint.REMOVED, None)
    assert bench.take() == []
    (settled,) = bench.wait(0.3, None)
    assert settled.look == look
    assert bench.rule.pending == 0


def test_a_file_that_was_never_seen_is_missed_as_well(bench: Bench) -> None:
    bench.see(Hint.CLOSED, None)
    assert bench.take() == []
    assert bench.wait(0.3, None) == [Settled(P, None, 0.0)]
    assert bench.rule.pending == 0


@pytest.mark.parametrize("seen", [True, False])
def test_a_file_that_was_gone_because_it_got_another_name_is_not_missed(bench: Bench, seen: bool) -> None:
    if seen:
        bench.see(Hint.WRITING, bench.look())
    bench.see(Hint.CLOSED, None)
    bench.see(Hint.RENAMED, None)
    assert bench.wait(10, None) == []
    assert bench.rule.pending == 0


def test_a_file_that_comes_back_under_its_name_is_not_missed(bench: Bench) -> None:
    bench.see(Hint.WRITING, bench.look())
    bench.see(Hint.REMOVED, None)
    bench.see(Hint.PLACED, new := bench.look(200))
    assert [settled.look for settled in bench.take()] == [new]
    assert bench.wait(10, new) == []


def test_a_file_that_got_another_name_is_not_missed(bench: Bench) -> None:
    bench.see(Hint.WRITING, bench.look())
    bench.see(Hint.REMOVED, None)
    bench.see(Hint.RENAMED, None)
    assert bench.wait(10, None) == []
    assert bench.rule.pending == 0


def test_the_removal_of_what_was_offered_is_no_news(bench: Bench) -> None:
    bench.see(Hint.CLOSED, bench.look())
    bench.take()
    bench.see(Hint.REMOVED, None)
    bench.see(Hint.FOUND, None)
    assert bench.wait(10, None) == []


def test_a_file_that_cannot_be_looked_at_is_due_again_later(bench: Bench) -> None:
    bench.see(Hint.FOUND, bench.look())
    bench.now += 0.3
    assert bench.rule.due(bench.now) == [P]
    assert bench.rule.due(bench.now) == []
    bench.now += 5.1
    assert bench.rule.due(bench.now) == [P]


def test_only_what_the_ledger_remembers_is_let_go(bench: Bench) -> None:
    looks = {path: bench.look(age_s=age) for path, age in (("old", 6000), ("untold", 5000), ("young", 5))}
    for path, look in looks.items():
        bench.see(Hint.LEFT, look, path)
    assert [settled.path for settled in bench.take()] == ["old", "untold", "young"]
    for path in ("old", "young"):
        bench.told[path] = Told(looks[path].size, looks[path].mtime_ns)
    bench.rule.let_go(wall_ns=bench.wall_ns)
    assert sorted(bench.rule.remembered()) == ["untold", "young"]
    for path, look in looks.items():
        bench.see(Hint.FOUND, look, path)
    assert bench.take() == []
    bench.rule.forget(["untold"])
    bench.see(Hint.FOUND, looks["untold"], "untold")
    assert len(bench.take()) == 1


def test_a_file_sleeps_when_it_is_old_and_its_story_told(bench: Bench) -> None:
    old = bench.look(age_s=5000)
    assert not bench.rule.sleeps(P, wall_ns=bench.wall_ns)
    bench.see(Hint.LEFT, old)
    assert not bench.rule.sleeps(P, wall_ns=bench.wall_ns)
    bench.take()
    assert bench.rule.sleeps(P, wall_ns=bench.wall_ns)
    bench.rule.again(P, old, rested_s=0, now=bench.now)
    assert not bench.rule.sleeps(P, wall_ns=bench.wall_ns)


ACTS = st.lists(
    st.tuples(st.sampled_from(["write", "close", "place", "round", "wait", "remove"]), st.sampled_from(["a", "b"])),
    max_size=40,
)


@given(acts=ACTS, hears=st.booleans())
def test_whatever_happens_the_last_thing_offered_is_how_the_file_ended(  # noqa: C901  one long story
    acts: list[tuple[str, str]], hears: bool
) -> None:
    bench = Bench(hears=hears)
    files: dict[str, Look] = {}
    offered: dict[str, list[Look | None]] = {"a": [], "b": []}

    def take() -> None:
        for settled in bench.take():
            offered[settled.path].append(settled.look)

    def look_at_due() -> None:
        for path in bench.rule.due(bench.now):
            bench.see(Hint.FOUND, files.get(path), path)
        take()

    for n, (act, path) in enumerate(
        [*acts, *[("wait", "a")] * 3, ("round", "a"), ("round", "b"), *[("wait", "a")] * 80]
    ):
        bench.now += 0.05001
        if act in {"write", "place"}:
            inode = n if act == "place" else files[path].inode if path in files else n
            files[path] = Look(n + 1, bench.wall_ns + 1, bench.wall_ns + 1, inode)
        if act == "remove":
            files.pop(path, None)
        if hears and act in {"write", "close", "place", "remove"}:
            hint = {"write": Hint.WRITING, "close": Hint.CLOSED, "place": Hint.PLACED, "remove": Hint.REMOVED}[act]
            if path in files or act == "remove":
                bench.see(hint, files.get(path), path)
        if act == "round" and path in files:
            bench.see(Hint.FOUND, files[path], path)
        look_at_due()
    bench.now += 31
    look_at_due()
    for path, look in files.items():
        assert offered[path], f"{path} was never offered"
        assert offered[path][-1] == look
    for looks in offered.values():
        stamps = [look.stamp for look in looks if look is not None]
        if not acts or all(act not in {"close", "remove"} for act, _ in acts):
            assert len(set(stamps)) == len(stamps)
    assert bench.rule.pending == 0
