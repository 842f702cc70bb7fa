"""Each part of hydrad is granted what it must do in the data base, table by table, and no table is forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from hydrad import cli
from hydrad.errors import ConfigurationError
from hydrad.store.grants import REVISION, Part, rights, statements
from hydrad.store.tables import METADATA

SECRET = {"people", "people_changes", "sessions", "tokens", "digests"}
HISTORIES = {"moves", "labellings", "definitions", "settings", "acknowledgements", "logbook_entries", "people_changes"}


def test_every_table_there_is_has_been_thought_of() -> None:
    assert {table for table, _ in rights(Part.PAGES)} == {*METADATA.tables, REVISION}


@pytest.mark.parametrize("part", [Part.DAEMON, Part.TRAININGS, Part.READER])
def test_only_the_pages_see_digests_of_passwords_cookies_and_tokens(part: Part) -> None:
    assert {table for table, _ in rights(part)} == {*METADATA.tables, REVISION} - SECRET


def test_a_reader_only_reads() -> None:
    assert {what for _, what in rights(Part.READER)} == {"SELECT"}


@pytest.mark.parametrize("part", list(Part))
def test_nobody_rewrites_a_history_or_deletes_a_verdict(part: Part) -> None:
    for table, what in rights(part):
        if table in HISTORIES:
            assert what in {"SELECT", "SELECT, INSERT"}, table
        if table in {"verdicts", "files", "images", "labels", "models", "episodes", REVISION}:
            assert "DELETE" not in what, table


def test_an_account_that_serves_two_parts_keeps_the_rights_of_both() -> None:
    printed = list(statements("hydra", {Part.DAEMON: "hydrad", Part.PAGES: "hydrad"}))
    given = max(n for n, line in enumerate(printed) if line.startswith("REVOKE"))
    assert "GRANT SELECT, INSERT ON `hydra`.`verdicts` TO 'hydrad'@'localhost';" in printed[given:]
    assert "GRANT SELECT, INSERT ON `hydra`.`labellings` TO 'hydrad'@'localhost';" in printed[given:]


def test_rights_on_all_tables_are_taken_back_before_others_are_given() -> None:
    printed = list(statements("hydra", {Part.DAEMON: "hydrad", Part.PAGES: "hydrad_web@10.1.%"}))
    assert printed[:2] == [
        "GRANT SELECT ON `hydra`.* TO 'hydrad'@'localhost';",
        "REVOKE ALL ON `hydra`.* FROM 'hydrad'@'localhost';",
    ]
    assert printed[3] == "REVOKE ALL ON `hydra`.* FROM 'hydrad_web'@'10.1.%';"
    assert all(".*" not in line for line in printed[4:])
    verdicts = [line for line in printed if "`verdicts`" in line and "'hydrad'" in line]
    assert [line.split()[0] for line in verdicts] == ["GRANT", "REVOKE", "GRANT"]


@pytest.mark.parametrize("account", ["", "@localhost", "a'b@localhost", "a b", "a@b;DROP", "a@b'", "é@localhost", "`"])
def test_a_name_that_could_break_out_of_its_quotes_is_refused(account: str) -> None:
    with pytest.raises(ConfigurationError, match="no account of a data base"):
        list(statements("hydra", {Part.READER: account}))
    with pytest.raises(ConfigurationError, match="no name of a data base"):
        list(statements("hy`dra", {Part.READER: "otto"}))


def test_an_embedded_data_base_has_no_accounts_to_grant_anything(tmp_path: Path, capsys) -> None:
    file = tmp_path / "hydra.toml"
    file.write_text('[beam]\nkind = "fixed"\n')
    assert cli.main(["db", "grants", "-c", str(file)]) == 2
    assert "SQLite knows no accounts" in capsys.readouterr().err


def test_a_verb_prints_them_for_the_accounts_that_are_named(tmp_path: Path, capsys) -> None:
    file = tmp_path / "hydra.toml"
    file.write_text('[store]\nurl = "mysql+mysqldb://hydrad@localhost/hydra"\n[beam]\nkind = "fixed"\n')
    assert cli.main(["db", "grants", "-c", str(file), "--reader", "look@dbhost"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert "GRANT SELECT, INSERT ON `hydra`.`verdicts` TO 'hydrad'@'localhost';" in printed
    assert "GRANT SELECT ON `hydra`.`verdicts` TO 'hydrad_web'@'localhost';" in printed
    assert "GRANT SELECT ON `hydra`.`verdicts` TO 'look'@'dbhost';" in printed
    assert not [line for line in printed if "DELETE" in line and "verdicts" in line]


def test_the_daemon_may_delete_verdicts_only_where_the_hall_lets_old_ones_go(tmp_path: Path, capsys) -> None:
    file = tmp_path / "hydra.toml"
    file.write_text(
        '[store]\nurl = "mysql+mysqldb://hydrad@localhost/hydra"\nkeep_verdicts_d = 400\n[beam]\nkind = "fixed"\n'
    )
    assert cli.main(["db", "grants", "-c", str(file)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if "DELETE" in line and "verdicts" in line] == [
        "GRANT DELETE ON `hydra`.`verdicts` TO 'hydrad'@'localhost';"
    ]
