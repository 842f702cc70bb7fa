"""Accounts, sessions and tokens: who comes in, for how long, and what is kept of it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from hydrad.domain import Role
from hydrad.errors import ChangeRefused
from hydrad.store import tables
from hydrad.store.models.registry import Who
from hydrad.store.people import accounts, passes
from hydrad.store.people.accounts import Lock, Person
from hydrad.store.queries import Store

ANA = Who("ana", "counting-3", "page")
ROOT = Who("root", "counting-1", "cli")
HASH = "$argon2id$v=19$…of a password"
TWELVE_H = timedelta(hours=12)


def add(store: Store, name: str, role: Role = Role.VIEWER, hashed: str | None = HASH) -> Person:
    return accounts.add(store, name, role, ROOT, hashed=hashed)


def lock(store: Store, name: str) -> Lock:
    found = accounts.lock_of(store, name)
    assert found is not None
    return found


def log_in(store: Store, name: str, lasts: timedelta = TWELVE_H) -> str:
    secret = passes.begin(store, lock(store, name), "counting-3", lasts)
    assert secret is not None
    return secret


def history(store: Store) -> list[tuple[str, str, str]]:
    return [(change.name, change.what, change.by.person) for change in accounts.changes(store)]


# ---- accounts ----


def test_an_account_is_kept_as_it_was_made(store: Store) -> None:
    made = accounts.add(store, "otto", Role.EXPERT, ROOT, hashed=HASH, email=" otto@example.org ")
    assert made == accounts.find(store, "otto") == accounts.numbered(store, made.id)
    assert (made.name, made.role, made.email, made.has_password) == ("otto", Role.EXPERT, "otto@example.org", True)
    assert not made.disabled
    assert not made.digest_wanted
    assert abs(datetime.now(UTC) - made.created_at) < timedelta(minutes=1)
    assert lock(store, "otto").hashed == HASH
    assert HASH not in repr(lock(store, "otto"))


def test_nobody_is_found_under_a_name_that_is_not_quite_theirs(store: Store) -> None:
    add(store, "otto")
    for name in ("Otto", "otto ", "ötto", "", "ott", "otto\x00", "\udcff"):
        assert accounts.find(store, name) is None
    assert accounts.numbered(store, 4711) is None


def test_the_same_letters_typed_on_another_keyboard_are_the_same_name(store: Store) -> None:
    add(store, "Zo\u00eb")
    assert accounts.find(store, "Zoe\u0308") == accounts.find(store, "Zo\u00eb") is not None


def test_a_name_that_is_taken_in_any_case_is_refused(store: Store) -> None:
    add(store, "otto")
    for taken in ("otto", "Otto", "OTTO"):
        with pytest.raises(ChangeRefused, match="otto has an account already"):
            add(store, taken)
    assert [person.name for person in accounts.everybody(store)] == ["otto"]


def test_a_name_that_is_none_is_refused(store: Store) -> None:
    for name in ("", " otto", "otto\n", "a,b", "x" * 65, "\u202eotto", "ot\x00to", "\udcff"):
        with pytest.raises(ChangeRefused, match="a name has"):
            add(store, name)
    assert not accounts.everybody(store)
    assert not accounts.changes(store)


def test_an_e_mail_address_that_would_not_stay_one_is_refused(store: Store) -> None:
    otto = add(store, "otto")
    for email in (
        "otto", "@example.org", "otto@", "a@b@c", "a b@c.org", "a@c.org,d@e.org", "ö@example.org", "a@b\nBcc: c@d",
    ):  # fmt: skip
        with pytest.raises(ChangeRefused, match="e-mail address"):
            accounts.set_contact(store, otto.id, ROOT, email=email, digest_wanted=False)
    assert accounts.numbered(store, otto.id) == otto


def test_contact_is_changed_and_the_log_wants_an_address(store: Store) -> None:
    otto = add(store, "otto")
    with pytest.raises(ChangeRefused, match="an address is wanted"):
        accounts.set_contact(store, otto.id, ROOT, email=None, digest_wanted=True)
    accounts.set_contact(store, otto.id, ROOT, email="otto@example.org", digest_wanted=True)
    accounts.set_contact(store, otto.id, ROOT, email="otto@example.org", digest_wanted=True)  # no change, no entry
    now = accounts.numbered(store, otto.id)
    assert now is not None
    assert (now.email, now.digest_wanted) == ("otto@example.org", True)
    accounts.set_contact(store, otto.id, ROOT, email="", digest_wanted=False)
    assert [what for _, what, _ in history(store)][:2] == [
        "e-mail none",
        "e-mail otto@example.org, the day's log goes there",
    ]
    assert len(history(store)) == 3


def test_everybody_is_listed_by_name(store: Store) -> None:
    for name in ("otto", "Ana", "zoe", "bert"):
        add(store, name)
    assert [person.name for person in accounts.everybody(store)] == ["Ana", "bert", "otto", "zoe"]


def test_every_change_is_on_record_with_who_and_when(store: Store) -> None:
    ana, otto = add(store, "ana", Role.ADMIN), add(store, "otto", hashed=None)
    accounts.set_role(store, otto.id, Role.LABELER, ANA)
    accounts.set_role(store, otto.id, Role.LABELER, ANA)  # no change
    accounts.set_password(store, otto.id, HASH, ANA)
    accounts.set_disabled(store, otto.id, ANA, disabled=True)
    accounts.set_disabled(store, otto.id, ANA, disabled=False)
    accounts.set_password(store, otto.id, None, ANA)
    _, token = passes.make_token(store, ana, ANA, purpose="grafana", role=Role.VIEWER, days=2)
    passes.revoke(store, token.id, ROOT)
    said = history(store)
    assert said[1][1].startswith(f"token {token.id} (grafana) made, viewer, until 20")
    assert [entry for n, entry in enumerate(said) if n != 1] == [
        ("ana", f"token {token.id} (grafana) revoked", "root"),
        ("otto", "password taken away", "ana"),
        ("otto", "enabled", "ana"),
        ("otto", "disabled", "ana"),
        ("otto", "password changed", "ana"),
        ("otto", "role viewer → labeler", "ana"),
        ("otto", "added as viewer, without a password", "root"),
        ("ana", "added as admin", "root"),
    ]
    newest = accounts.changes(store)[0]
    assert newest.by == ROOT
    assert abs(datetime.now(UTC) - newest.at) < timedelta(minutes=1)
    assert len(accounts.changes(store, limit=3)) == 3


def test_what_is_nobodys_cannot_be_changed(store: Store) -> None:
    for act in (
        lambda: accounts.set_role(store, 7, Role.ADMIN, ANA),
        lambda: accounts.set_disabled(store, 7, ANA, disabled=True),
        lambda: accounts.set_password(store, 7, HASH, ANA),
        lambda: accounts.set_contact(store, 7, ANA, email=None, digest_wanted=False),
    ):
        with pytest.raises(ChangeRefused, match="no account number 7"):
            act()
    assert not accounts.changes(store)


def test_the_last_admin_can_be_neither_demoted_nor_shut_out(store: Store) -> None:
    ana, otto = add(store, "ana", Role.ADMIN), add(store, "otto", Role.ADMIN)
    accounts.set_disabled(store, otto.id, ANA, disabled=True)  # who is shut out does not count
    for act in (
        lambda: accounts.set_role(store, ana.id, Role.EXPERT, ANA),
        lambda: accounts.set_disabled(store, ana.id, ANA, disabled=True),
    ):
        with pytest.raises(ChangeRefused, match="ana is the last admin"):
            act()
    accounts.set_role(store, otto.id, Role.EXPERT, ANA)  # he governs nobody any more
    accounts.set_role(store, otto.id, Role.ADMIN, ANA)
    accounts.set_disabled(store, otto.id, ANA, disabled=False)
    accounts.set_role(store, ana.id, Role.EXPERT, ANA)
    with pytest.raises(ChangeRefused, match="otto is the last admin"):
        accounts.set_role(store, otto.id, Role.VIEWER, ANA)


def test_two_admins_who_demote_each_other_at_once_do_not_both_succeed(store: Store) -> None:
    for _ in range(5):
        names = [person.name for person in accounts.everybody(store)]
        pair = [add(store, f"admin-{len(names) + n}", Role.ADMIN) for n in range(2)]
        for other in accounts.everybody(store):
            if other.role is Role.ADMIN and other.id not in {person.id for person in pair}:
                accounts.set_role(store, other.id, Role.VIEWER, ROOT)
        ready = threading.Barrier(2)
        refused: list[str] = []

        def demote(person: Person, ready: threading.Barrier = ready, refused: list[str] = refused) -> None:
            ready.wait()
            try:
                accounts.set_role(store, person.id, Role.VIEWER, ANA)
            except ChangeRefused as why:
                refused.append(str(why))

        threads = [threading.Thread(target=demote, args=[person]) for person in pair]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 1, refused
        assert sum(person.role is Role.ADMIN for person in accounts.everybody(store)) == 1


def test_of_two_who_take_a_name_at_once_one_gets_it(store: Store) -> None:
    ready = threading.Barrier(2)
    outcomes: list[str] = []

    def take() -> None:
        ready.wait()
        try:
            outcomes.append(add(store, "otto").name)
        except ChangeRefused as why:
            outcomes.append(str(why))

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["otto", "otto has an account already"]


# ---- sessions ----


def test_a_session_is_opened_seen_and_ended(store: Store) -> None:
    otto = add(store, "otto")
    secret = log_in(store, "otto")
    found = passes.session(store, secret, TWELVE_H)
    assert found is not None
    assert (found.person, found.host) == (otto, "counting-3")
    assert found.expires_at - found.created_at == TWELVE_H
    assert [one.id for one in passes.open_sessions(store, otto.id)] == [found.id]
    passes.end(store, secret)
    assert passes.session(store, secret, TWELVE_H) is None
    assert not passes.open_sessions(store, otto.id)
    passes.end(store, secret)  # twice does no harm


def test_the_data_base_holds_no_secret(store: Store) -> None:
    otto = add(store, "otto")
    session, (token, _) = log_in(store, "otto"), passes.make_token(store, otto, ROOT)
    assert len(session) >= 43  # 256 bits
    assert token.startswith("hydrad_")
    assert session != log_in(store, "otto")
    with store.reading() as connection:
        everything = repr([connection.execute(select(table)).all() for table in tables.METADATA.sorted_tables])
    assert session not in everything
    assert token not in everything
    assert token.removeprefix("hydrad_") not in everything


def test_a_forged_secret_opens_nothing(store: Store) -> None:
    add(store, "otto")
    log_in(store, "otto")
    for secret in ("", "x", "\x00", "\udcff" * 5, "é" * 100, "x" * 100_000):
        assert passes.session(store, secret, TWELVE_H) is None
        assert passes.token(store, secret) is None


def test_a_session_ends_by_itself_and_is_swept_out_by_the_next_login(store: Store) -> None:
    add(store, "otto")
    old = log_in(store, "otto", timedelta(microseconds=1))
    assert passes.session(store, old, TWELVE_H) is None
    with store.reading() as connection:
        assert len(connection.execute(select(tables.sessions)).all()) == 1
    log_in(store, "otto")
    with store.reading() as connection:
        assert len(connection.execute(select(tables.sessions)).all()) == 1


def test_being_seen_lengthens_a_session_and_writes_once_an_hour(store: Store, statements: list[str]) -> None:
    otto = add(store, "otto")
    secret = log_in(store, "otto")
    statements.clear()
    for _ in range(5):
        passes.session(store, secret, TWELVE_H)
    assert len([one for one in statements if "sessions" in one]) == 5  # one question each, nothing written
    assert not [one for one in statements if one.startswith("UPDATE")]
    past = datetime.now(UTC) - timedelta(hours=2)
    with store.writing() as connection:
        ends = past + TWELVE_H
        connection.execute(update(tables.sessions).values(seen_at=past, created_at=past, expires_at=ends))
    statements.clear()
    for _ in range(5):
        passes.session(store, secret, TWELVE_H)
    assert len([one for one in statements if one.startswith("UPDATE")]) == 1
    [now] = passes.open_sessions(store, otto.id)
    assert now.created_at == past
    assert now.expires_at > ends + timedelta(hours=1)


@pytest.mark.parametrize("ended_by", ["password", "disabling", "everywhere"])
def test_every_session_ends_at_once(store: Store, ended_by: str) -> None:
    otto, zoe = add(store, "otto"), add(store, "zoe")
    secrets = [log_in(store, "otto") for _ in range(3)]
    hers = log_in(store, "zoe")
    match ended_by:
        case "password":
            accounts.set_password(store, otto.id, HASH + "2", ROOT)
        case "disabling":
            accounts.set_disabled(store, otto.id, ROOT, disabled=True)
            accounts.set_disabled(store, otto.id, ROOT, disabled=False)  # and does not come back
        case "everywhere":
            passes.end_all(store, otto.id)
    assert [passes.session(store, secret, TWELVE_H) for secret in secrets] == [None, None, None]
    assert passes.session(store, hers, TWELVE_H) is not None
    assert zoe.id != otto.id


def test_a_login_that_a_change_of_password_overtook_opens_nothing(store: Store) -> None:
    otto = add(store, "otto")
    tried_on = lock(store, "otto")
    accounts.set_password(store, otto.id, HASH + "2", ROOT)
    assert passes.begin(store, tried_on, "counting-3", TWELVE_H) is None
    again = lock(store, "otto")
    accounts.set_disabled(store, otto.id, ROOT, disabled=True)
    assert passes.begin(store, again, "counting-3", TWELVE_H) is None
    without = add(store, "robot", hashed=None)
    assert passes.begin(store, Lock(without, None), "counting-3", TWELVE_H) is None


def test_a_login_may_renew_how_the_password_is_kept_without_ending_anything(store: Store) -> None:
    add(store, "otto")
    old = log_in(store, "otto")
    assert passes.begin(store, lock(store, "otto"), "counting-3", TWELVE_H, hashed=HASH + "new") is not None
    assert lock(store, "otto").hashed == HASH + "new"
    assert passes.session(store, old, TWELVE_H) is not None
    assert len(history(store)) == 1  # the person did not change anything


# ---- tokens ----


def test_a_token_is_known_until_it_is_revoked(store: Store) -> None:
    otto = add(store, "otto", Role.EXPERT)
    secret, made = passes.make_token(store, otto, ROOT, purpose="grafana", role=Role.VIEWER)
    assert (made.person, made.purpose, made.role, made.used_at) == (otto, "grafana", Role.VIEWER, None)
    found = passes.token(store, secret)
    assert found is not None
    assert found.id == made.id
    assert [one.id for one in passes.tokens_of(store)] == [made.id]
    with pytest.raises(ChangeRefused, match="no token number"):
        passes.revoke(store, made.id, ANA, of=otto.id + 1)
    passes.revoke(store, made.id, ANA, of=otto.id)
    assert passes.token(store, secret) is None
    with pytest.raises(ChangeRefused, match="revoked already"):
        passes.revoke(store, made.id, ANA)
    [kept] = passes.tokens_of(store, otto.id)
    assert kept.revoked_at is not None
    assert not passes.tokens_of(store, otto.id + 1)


def test_a_token_ends_at_its_time_and_sleeps_while_its_person_is_shut_out(store: Store) -> None:
    otto = add(store, "otto", Role.EXPERT)
    secret, made = passes.make_token(store, otto, ROOT, days=1)
    accounts.set_disabled(store, otto.id, ROOT, disabled=True)
    assert passes.token(store, secret) is None
    accounts.set_disabled(store, otto.id, ROOT, disabled=False)
    assert passes.token(store, secret) is not None
    assert made.expires_at is not None
    assert made.valid(made.expires_at - timedelta(seconds=1))
    assert not made.valid(made.expires_at)
    with store.writing() as connection:
        connection.execute(update(tables.tokens).values(expires_at=datetime.now(UTC)))
    assert passes.token(store, secret) is None


def test_a_token_is_never_more_than_its_person(store: Store) -> None:
    otto = add(store, "otto", Role.LABELER)
    with pytest.raises(ChangeRefused, match="a token cannot be expert"):
        passes.make_token(store, otto, ROOT, role=Role.EXPERT)
    _, made = passes.make_token(store, otto, ROOT)
    assert made.role is Role.LABELER


def test_a_senseless_token_is_refused(store: Store) -> None:
    otto = add(store, "otto")
    for days, purpose in ((0, ""), (-1, ""), (1e300, ""), (1, "x" * 101), (1, "\n")):
        with pytest.raises(ChangeRefused):
            passes.make_token(store, otto, ROOT, days=days, purpose=purpose)
    assert not passes.tokens_of(store)


def test_the_use_of_a_token_is_written_once_a_minute(store: Store, statements: list[str]) -> None:
    otto = add(store, "otto")
    secret, _ = passes.make_token(store, otto, ROOT)
    statements.clear()
    for _ in range(5):
        passes.token(store, secret)
    assert len([one for one in statements if one.startswith("UPDATE")]) == 1
    [kept] = passes.tokens_of(store)
    assert kept.used_at is not None
    with store.writing() as connection:
        past = datetime.now(UTC) - timedelta(minutes=2)
        connection.execute(update(tables.tokens).values(used_at=past))
    passes.token(store, secret)
    assert passes.tokens_of(store)[0].used_at > past  # type: ignore[operator]


def test_a_look_up_asks_a_unique_index(store: Store) -> None:
    explain = "EXPLAIN QUERY PLAN" if store._engine.dialect.name == "sqlite" else "EXPLAIN"
    for table in (tables.sessions, tables.tokens):
        query = select(table).join(tables.people).where(table.c.digest == passes.digest_of("x"))
        with store.reading() as connection:
            asked = query.compile(store._engine, compile_kwargs={"render_postcompile": True})
            said = connection.exec_driver_sql(f"{explain} {asked}", tuple(asked.params.values())).all()
        plan = " ".join(map(str, said))
        # A server finds while it plans that a unique index holds no such row.
        assert "USING INDEX sqlite_autoindex" in plan or "reading const tables" in plan, plan
