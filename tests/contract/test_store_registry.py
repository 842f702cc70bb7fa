"""What becomes of a model is decided in one transaction, told apart by its moment, and can be undone."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from store_world import MEANINGS, entry_of, later, verdict_of

from hydrad.domain import Beam, BeamState
from hydrad.errors import ChangeRefused, StoreAway
from hydrad.store.models import registry
from hydrad.store.models.comparing import compare
from hydrad.store.models.registry import Deed, Place, Who
from hydrad.store.packing import Opinion, Parcel, pack, unpack
from hydrad.store.queries import Store
from hydrad.store.tables import ModelState

ANA = Who("ana", "counting-3", "cli")
DAEMON = Who("hydrad", "counting-3", "daemon")
CANDIDATE, SHADOW = ModelState.CANDIDATE, ModelState.SHADOW
IN_SERVICE, RETIRED = ModelState.IN_SERVICE, ModelState.RETIRED


def card(*plots: str) -> dict[str, object]:
    return {
        "plots": list(plots),
        "labels": [{"name": label, "meaning": meaning.value} for label, meaning in MEANINGS.items()],
        "created_at": "2026-11-23T07:00:00Z",
    }


def enter(store: Store, *names: str, plots: tuple[str, ...] = ("CDC_*",)) -> None:
    for name in names:
        registry.register(store, name, card(*plots), {"recall": 0.97}, ANA)


def states(store: Store) -> dict[str, ModelState]:
    return {place.id: place.state for place in registry.places(store)}


def place_of(store: Store, name: str) -> Place:
    return next(place for place in registry.places(store) if place.id == name)


# ---- registering ----


def test_a_model_is_registered_once_and_keeps_its_state(store: Store) -> None:
    enter(store, "cdc-7")
    [model] = registry.models(store)
    assert (model.id, model.state, model.fault) == ("cdc-7", CANDIDATE, None)
    assert model.registered_at == model.moved_at
    registry.promote(store, "cdc-7", ANA)
    registry.register(store, "cdc-7", card("FDC_*"), {"recall": 0.98}, DAEMON, state=RETIRED)
    [again] = registry.models(store)
    assert (again.state, again.card["plots"], again.metrics) == (IN_SERVICE, ["FDC_*"], {"recall": 0.98})
    assert again.registered_at == model.registered_at < again.moved_at


def test_every_move_is_on_record_with_who_when_and_why(store: Store) -> None:
    enter(store, "cdc-7", "fdc-1")
    registry.move(store, "cdc-7", SHADOW, Who("otto", "counting-1", "page"), "let us see")
    registry.promote(store, "cdc-7", ANA, "it sees more")
    moves = registry.history(store, "cdc-7")
    assert [(move.old, move.new, move.by.person, move.reason) for move in moves] == [
        (SHADOW, IN_SERVICE, "ana", "it sees more"),
        (CANDIDATE, SHADOW, "otto", "let us see"),
        (None, CANDIDATE, "ana", ""),
    ]
    assert moves[1].by == Who("otto", "counting-1", "page")
    assert len(registry.history(store)) == 4
    assert abs(datetime.now(UTC) - moves[0].at) < timedelta(minutes=1)


# ---- promoting ----


def test_a_promotion_retires_what_serves_exactly_the_same_plots_and_nothing_else(store: Store) -> None:
    enter(store, "old", "new")
    registry.register(store, "two", card("FDC_*", "CDC_*"), {}, ANA)
    registry.register(store, "turned", card("CDC_*", "FDC_*"), {}, ANA)
    registry.register(store, "exact", card("CDC_occupancy"), {}, ANA)
    registry.register(store, "blank", {}, {}, ANA, state=IN_SERVICE)
    registry.register(store, "blank-2", {}, {}, ANA)
    for name in ("old", "two", "exact"):
        registry.promote(store, name, ANA)
    decision = registry.promote(store, "new", ANA)
    assert {(move.model, move.new) for move in decision.moves} == {("new", IN_SERVICE), ("old", RETIRED)}
    registry.promote(store, "turned", ANA)
    registry.promote(store, "blank-2", ANA)
    assert states(store) == {
        "old": RETIRED, "new": IN_SERVICE, "two": RETIRED, "turned": IN_SERVICE, "exact": IN_SERVICE,
        "blank": IN_SERVICE, "blank-2": IN_SERVICE,
    }  # fmt: skip


def test_models_of_one_decision_share_its_moment_and_no_other_does(store: Store) -> None:
    enter(store, "old", "new", "next")
    for name in ("old", "new", "next"):
        registry.promote(store, name, ANA)
    moments = {name: place_of(store, name).moved_at for name in ("old", "new", "next")}
    assert moments["old"] < moments["new"] == moments["next"]
    [first, second] = [move for move in registry.history(store) if move.at == moments["next"]]
    assert first.ticket == second.ticket


def test_a_clock_set_back_does_not_confuse_decisions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Earlier(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - timedelta(hours=1)

    enter(store, "old", "new")
    registry.promote(store, "old", ANA)
    before = place_of(store, "old").moved_at
    monkeypatch.setattr(registry, "datetime", Earlier)
    assert registry.promote(store, "new", ANA).at > before


@pytest.mark.parametrize("decide", [registry.promote, registry.rollback])
def test_a_model_nobody_knows_cannot_be_moved(store: Store, decide) -> None:
    with pytest.raises(ChangeRefused, match="knows no model 'cdc-9'"):
        decide(store, "cdc-9", ANA)
    with pytest.raises(ChangeRefused, match="knows no model 'cdc-9'"):
        registry.move(store, "cdc-9", RETIRED, ANA)


def test_what_stands_there_already_is_not_moved_there(store: Store) -> None:
    enter(store, "cdc-7")
    registry.promote(store, "cdc-7", ANA)
    with pytest.raises(ChangeRefused, match="'cdc-7' is in service already"):
        registry.promote(store, "cdc-7", ANA)
    registry.move(store, "cdc-7", RETIRED, ANA)
    with pytest.raises(ChangeRefused, match="is retired already"):
        registry.move(store, "cdc-7", RETIRED, ANA)


def test_two_people_who_promote_at_once_leave_one_model_in_service(store: Store) -> None:
    names = [f"cdc-{n}" for n in range(6)]
    enter(store, *names)
    threads = [threading.Thread(target=registry.promote, args=(store, name, ANA)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states(store).values()) == [IN_SERVICE, *[RETIRED] * 5]
    assert len({move.at for move in registry.history(store) if move.new is IN_SERVICE}) == 6


# ---- undoing ----


def test_a_rollback_puts_back_what_the_promotion_moved(store: Store) -> None:
    enter(store, "old", "new")
    registry.promote(store, "old", ANA)
    registry.move(store, "new", SHADOW, ANA)
    registry.promote(store, "new", ANA)
    registry.rollback(store, "new", ANA, "it was worse")
    assert states(store) == {"old": IN_SERVICE, "new": SHADOW}
    registry.rollback(store, "old", ANA)  # and the other way round
    assert states(store) == {"old": RETIRED, "new": IN_SERVICE}


def test_a_rollback_says_when_there_is_nothing_to_undo(store: Store) -> None:
    enter(store, "cdc-7")
    with pytest.raises(ChangeRefused, match=r"not in service \(candidate\): there is nothing to undo"):
        registry.rollback(store, "cdc-7", ANA)
    registry.register(store, "first", card("*"), {}, DAEMON, state=IN_SERVICE, fault="")
    with pytest.raises(ChangeRefused, match="has served since it was first seen"):
        registry.rollback(store, "first", ANA)


def test_a_refused_promotion_is_undone_with_its_reason(store: Store) -> None:
    enter(store, "old", "new")
    registry.promote(store, "old", ANA)
    registry.promote(store, "new", ANA)
    tried = place_of(store, "new")
    decision = registry.refuse(store, tried, "its self-test failed", DAEMON)
    assert decision is not None
    assert states(store) == {"old": IN_SERVICE, "new": CANDIDATE}
    assert place_of(store, "new").fault == "its self-test failed"
    assert place_of(store, "old").fault is None
    last = registry.history(store, "new")[0]
    assert (last.new, last.by, last.reason) == (CANDIDATE, DAEMON, "refused: its self-test failed")
    registry.move(store, "new", RETIRED, ANA)
    assert place_of(store, "new").fault is None


def test_a_refused_rollback_leaves_in_service_what_was(store: Store) -> None:
    enter(store, "old", "new")
    registry.promote(store, "old", ANA)
    registry.promote(store, "new", ANA)
    registry.rollback(store, "new", ANA)
    registry.refuse(store, place_of(store, "old"), "it is gone", DAEMON)
    assert states(store) == {"old": CANDIDATE, "new": IN_SERVICE}


def test_a_refusal_that_comes_too_late_undoes_nothing(store: Store) -> None:
    enter(store, "old", "new")
    registry.promote(store, "old", ANA)
    registry.promote(store, "new", ANA)
    tried = place_of(store, "new")
    registry.rollback(store, "new", ANA)
    registry.promote(store, "new", ANA)
    assert registry.refuse(store, tried, "late", DAEMON) is None
    assert states(store) == {"old": RETIRED, "new": IN_SERVICE}
    assert place_of(store, "new").fault is None


def test_what_was_moved_again_since_is_not_moved_back(store: Store) -> None:
    enter(store, "old", "new")
    registry.promote(store, "old", ANA)
    registry.promote(store, "new", ANA)
    registry.move(store, "old", SHADOW, ANA)
    registry.refuse(store, place_of(store, "new"), "no", DAEMON)
    assert states(store) == {"old": SHADOW, "new": CANDIDATE}


def test_the_daemons_answer_stands_until_the_next_move(store: Store) -> None:
    enter(store, "cdc-7")
    registry.promote(store, "cdc-7", ANA)
    place = place_of(store, "cdc-7")
    registry.done(store, [place])
    assert place_of(store, "cdc-7").fault == ""
    registry.not_done(store, place, "its bundle is gone")
    assert place_of(store, "cdc-7") == replace(place, fault="its bundle is gone")
    registry.move(store, "cdc-7", RETIRED, ANA)
    registry.done(store, [place])  # of a move that is over
    assert place_of(store, "cdc-7").fault is None


def test_nobody_has_decided_until_somebody_has(store: Store) -> None:
    assert registry.undecided(registry.places(store))
    enter(store, "cdc-7")
    assert registry.undecided(registry.places(store))
    registry.promote(store, "cdc-7", ANA)
    registry.move(store, "cdc-7", RETIRED, ANA)
    assert not registry.undecided(registry.places(store))


def test_asking_where_models_stand_is_one_small_question(store: Store, statements: list[str]) -> None:
    enter(store, "cdc-7")
    statements.clear()
    registry.places(store)
    asked = [statement for statement in statements if "models" in statement]
    assert len(asked) == 1
    assert "card" not in asked[0]
    assert "metrics" not in asked[0]


def test_a_data_base_that_is_not_there_is_away(tmp_path: object) -> None:
    with Store(f"mysql+mysqldb://hydra@localhost/hydra?unix_socket={tmp_path}/none") as store:
        for ask in (registry.places, registry.models, registry.history):
            with pytest.raises(StoreAway):
                ask(store)
        with pytest.raises(StoreAway):
            registry.promote(store, "cdc-7", ANA)


# ---- shadows ----


def opinion(key: str, label: str, confidence: float = 0.9, *, confirmed: bool = True, model: str = "new") -> Parcel:
    scores = {"Good": 0.0, "Bad": 0.0, "NoData": 0.0} | {label: confidence}
    return Parcel(opinion=Opinion(key, model, label, confidence, scores, confirmed, 0.25))


def test_an_opinion_travels_as_text_and_comes_back_whole() -> None:
    parcel = opinion("k", "Bad", 1 / 3, confirmed=False)
    assert unpack(*pack(parcel)).opinion == parcel.opinion


def test_an_opinion_arrives_once_with_its_verdict_or_after_it(store: Store) -> None:
    first, second = verdict_of("CDC_a", later(1)), verdict_of("CDC_b", later(2))
    store.put([Parcel(entry_of(first), first), opinion(first.key, "Good"), Parcel(entry_of(second), second)])
    store.put([opinion(first.key, "Good"), opinion(second.key, "Bad"), opinion("of no verdict", "Bad")])
    store.put([opinion(second.key, "Bad", model="other")])
    found = compare(store, "new")
    assert (found.images, dict(found.labels)) == (2, {("Bad", "Good"): 1, ("Bad", "Bad"): 1})
    assert compare(store, "other").images == 1


def test_a_shadow_is_compared_with_what_served(store: Store) -> None:
    enter(store, "new")
    off = Beam(BeamState.OFF, 0.1, "nA")
    cases = [  # served label, confirmed, beam; shadow's label, confirmed
        ("Bad", True, None, "Bad", True),
        ("Bad", True, None, "Good", True),
        ("Bad", True, None, "Bad", False),
        ("Good", True, None, "Bad", True),
        ("Good", True, None, "NoData", True),
        ("Good", True, None, "Good", True),
        ("Bad", True, off, "Good", True),
        ("Good", True, off, "NoData", True),
        (None, False, None, "Bad", True),
    ]
    parcels = []
    for n, (label, sure, beam, said, said_sure) in enumerate(cases):
        verdict = verdict_of("CDC_a", later(n), label=label, confirmed=sure, model=label and "old")
        if beam is not None:
            verdict = replace(verdict, beam=beam)
        parcels += [Parcel(entry_of(verdict), verdict), opinion(verdict.key, said, confirmed=said_sure)]
    store.put(parcels)
    found = compare(store, "new")
    assert (found.images, found.agreed) == (9, 3)
    assert (found.alarming_to_both, found.alarms_added, found.alarms_missed) == (1, 3, 2)
    assert found.labels[None, "Bad"] == 1
    assert compare(store, "new", later(7)).images == 2
    assert compare(store, "nobody").images == 0


def test_only_the_newest_of_a_shadows_images_are_looked_at_when_there_are_many(store: Store) -> None:
    parcels = []
    for n, said in enumerate(("Good", "Good", "Bad", "Bad")):
        verdict = verdict_of("CDC_a", later(n), label="Bad")
        parcels += [Parcel(entry_of(verdict), verdict), opinion(verdict.key, said)]
    store.put(parcels)
    assert dict(compare(store, "new", most=3).labels) == {("Bad", "Bad"): 2, ("Bad", "Good"): 1}
    assert compare(store, "new", later(3), most=3).images == 1


# ---- seeing what a decision would do ----


def test_what_is_foreseen_is_what_comes_of_it(store: Store) -> None:
    enter(store, "old", "new")
    enter(store, "other", plots=("FDC_*",))
    for name, deed in (
        ("old", Deed.PROMOTE), ("new", Deed.SHADOW), ("other", Deed.PROMOTE), ("new", Deed.PROMOTE),
        ("new", Deed.ROLLBACK), ("other", Deed.RETIRE),
    ):  # fmt: skip
        before = states(store)
        ahead = registry.foresee(store, name, deed)
        assert states(store) == before
        decision = registry.decide(store, name, deed, ANA, "because")
        assert {move.model: move.new for move in decision.moves} == ahead
        assert states(store) == before | dict(ahead)


def test_what_would_be_refused_is_refused_when_it_is_foreseen(store: Store) -> None:
    enter(store, "cdc-7")
    for name, deed, says in (
        ("nobody", Deed.PROMOTE, "knows no model"),
        ("nobody", Deed.ROLLBACK, "knows no model"),
        ("cdc-7", Deed.ROLLBACK, "nothing to undo"),
    ):
        with pytest.raises(ChangeRefused, match=says):
            registry.foresee(store, name, deed)
        with pytest.raises(ChangeRefused, match=says):
            registry.decide(store, name, deed, ANA)


def test_a_model_is_introduced_once(store: Store) -> None:
    registry.introduce(store, "new", card("CDC_*"), {"recall": 0.9}, ANA)
    registry.introduce(store, "new", card("FDC_*"), {}, DAEMON)
    (model,) = registry.models(store)
    assert (model.card["plots"], model.metrics, model.state) == (["CDC_*"], {"recall": 0.9}, CANDIDATE)
    assert len(registry.history(store)) == 1
