"""What is left in the data base for the daemon is found at one look, which costs little while there is nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from store_world import change_of, later, leave

from hydrad.store.mail import Mail, collected
from hydrad.store.models import registry
from hydrad.store.queries import Store

ANA = registry.Who("ana", "counting-3", "cli")


def test_all_that_was_left_is_found_and_what_was_handed_in_is_taken(store: Store) -> None:
    registry.register(store, "cdc-7", {}, {}, ANA)
    for n in range(3):
        leave(store, change_of(at=later(n), plot=f"CDC_{n}"))
    first = store.settings_after(0)[0]
    numbers = store.submit(["/a.png", "/b.png"], by="otto")
    mail = collected(store, after=first.id, taken_before=None)
    assert [place.id for place in mail.places] == ["cdc-7"]
    assert [filed.change.plot for filed in mail.changes] == ["CDC_1", "CDC_2"]
    assert [submission.id for submission in mail.submissions] == numbers
    assert collected(store, after=mail.changes[-1].id, taken_before=None) == Mail(mail.places, [], [])


def test_what_an_earlier_daemon_took_and_never_finished_is_taken_by_the_one_that_follows(store: Store) -> None:
    numbers = store.submit(["/a.png"], by="otto")
    collected(store, after=0, taken_before=None)
    began = datetime.now(UTC)
    taken = [collected(store, after=0, taken_before=began).submissions for _ in range(2)]
    assert [[one.id for one in some] for some in taken] == [numbers, []]


def test_a_look_that_finds_nothing_locks_nothing_and_is_one_transaction(store: Store, statements: list[str]) -> None:
    collected(store, after=0, taken_before=None)
    statements.clear()
    collected(store, after=0, taken_before=None)
    assert sum(statement.startswith("SELECT") for statement in statements) == 3
    assert statements.count("BEGIN") == (len(statements) > 3)  # SQLite's are spelled out
    assert not any("UPDATE" in statement or "IMMEDIATE" in statement for statement in statements)
