"""What hydra.toml may say, and how it is told what is wrong with it."""

import os
import re
import traceback
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from hydrad import config, texts
from hydrad.config import Config, Section
from hydrad.domain import Rules
from hydrad.errors import ConfigurationError

HOME = Path("/counting/house")
FIXED = {"kind": "fixed"}
EPICS = {"kind": "epics", "pv": "BEAM"}
WATCH = {"root": "plots", "layout": "rsai"}
OLOG = {"kind": "olog", "url": "https://olog.example/Olog", "logbooks": ["Operations"]}
MAIL = {"host": "localhost", "sender": "Hydra <hydrad@counting.example>"}


def faults_of(document, home=HOME, **how):
    """The sentences a document is answered with."""
    with pytest.raises(ConfigurationError) as refused:
        config.read({"beam": FIXED, **document}, home, **how)
    assert str(refused.value) == "\n".join(refused.value.faults)
    return list(refused.value.faults)


def read(**tables):
    return config.read({"beam": FIXED, **tables}, HOME)


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        # unknown keys, in every table
        ({"haal": {}}, "haal: is no key of this table"),
        ({"hall": {"nme": "D"}}, "hall.nme: is no key of this table"),
        ({"store": {"uri": ""}}, "store.uri: is no key of this table"),
        ({"store": {"password": "xyzzy"}}, "store.password: is no key of this table"),
        ({"ioc": {"prefx": ""}}, "ioc.prefx: is no key of this table"),
        ({"beam": {**EPICS, "current": 3}}, "beam.current: is no key of this table"),
        ({"beam": {**EPICS, "epics": 3}}, "beam.epics: is no key of this table"),
        ({"beam": {**FIXED, "pv": "X"}}, "beam.pv: is no key of this table"),
        ({"classify": {"scores": {}}}, "classify.scores: is no key of this table"),
        ({"classify": {**FIXED, "fixed": 1}}, "classify.fixed: is no key of this table"),
        ({"web": {"user": 1}}, "web.user: is no key of this table"),
        ({"watch": [WATCH, {**WATCH, "root": "b", "rot": 1}]}, "watch[1].rot: is no key of this table"),
        ({"defaults": {"stale_ms": 1}}, "defaults.stale_ms: is no key of this table"),
        ({"detector": [{"name": "CDC", "plot": "x"}]}, "detector[0].plot: is no key of this table"),
        # what must be there
        ({"beam": {}}, "beam.pv: is missing"),
        ({"watch": [{"layout": "rsai"}]}, "watch[0].root: is missing"),
        ({"detector": [{}]}, "detector[0].name: is missing"),
        # wrong types
        ({"hall": 3}, "hall: should be a table, not 3"),
        ({"watch": 3}, "watch: should be a list, not 3"),
        ({"watch": {"root": "x"}}, "watch: should be a list, not a table"),
        ({"watch": ["x"]}, "watch[0]: should be a table, not 'x'"),
        ({"beam": []}, "beam: should be a table, not a list"),
        ({"beam": "fixed"}, "beam: should be a table, not 'fixed'"),
        ({"detector": {"name": "CDC"}}, "detector: should be a list, not a table"),
        ({"classify": True}, "classify: should be a table, not True"),
        ({"ioc": {"interfaces": "127.0.0.1"}}, "ioc.interfaces: should be a list, not '127.0.0.1'"),
        ({"ioc": {"writers": [3]}}, "ioc.writers[0]: should be a valid string, not 3"),
        ({"store": {"images": 3}}, "store.images: should be a path, not 3"),
        ({"classify": {**FIXED, "scores": 3}}, "classify.scores: should be a table, not 3"),
        ({"ioc": {"port": True}}, "ioc.port: should be a valid integer, not True"),
        ({"ioc": {"port": "5064"}}, "ioc.port: should be a valid integer, not '5064'"),
        ({"defaults": {"needs_beam": "yes"}}, "defaults.needs_beam: should be a valid boolean, not 'yes'"),
        ({"defaults": {"on_delay": 2.5}}, "defaults.on_delay: should be a valid integer, not 2.5"),
        # values that cannot be
        ({"hall": {"name": ""}}, "hall.name: must not be empty"),
        ({"hall": {"name": "D" * 41}}, "hall.name: should have at most 40 characters, not 'DDD"),
        ({"hall": {"timezone": "Mars"}}, "hall.timezone: 'Mars' is no time zone of the IANA data base"),
        ({"hall": {"timezone": "America"}}, "hall.timezone: 'America' is no time zone of the IANA data base"),
        ({"hall": {"timezone": ""}}, "hall.timezone: '' is no time zone of the IANA data base"),
        ({"store": {"keep_all_h": -1}}, "store.keep_all_h: should be greater than or equal to 0, not -1"),
        ({"ioc": {"prefix": "hydra:"}}, "ioc.prefix: should match pattern"),
        ({"ioc": {"prefix": "HYDRA:D:\n"}}, "ioc.prefix: should match pattern"),
        ({"ioc": {"interfaces": []}}, "ioc.interfaces: must not be empty"),
        ({"ioc": {"port": 0}}, "ioc.port: should be greater than or equal to 1, not 0"),
        ({"ioc": {"port": 65536}}, "ioc.port: should be less than or equal to 65535, not 65536"),
        ({"ioc": {"mirror": ""}}, "ioc.mirror: should match pattern"),
        ({"beam": {"kind": "tango"}}, "beam: kind is none of epics, fixed, not 'tango'"),
        ({"beam": {"kind": ["epics"]}}, "beam: kind is none of epics, fixed, not a list"),
        ({"beam": {**EPICS, "pv": ""}}, "beam.pv[0]: must not be empty"),
        ({"beam": {**EPICS, "pv": []}}, "beam.pv: must not be empty"),
        ({"beam": {**EPICS, "on_above": 0}}, "beam.on_above: should be greater than 0, not 0"),
        ({"beam": {**EPICS, "on_above": float("nan")}}, "beam.on_above: should be a finite number, not nan"),
        ({"beam": {**EPICS, "stale_s": float("inf")}}, "beam.stale_s: should be a finite number, not inf"),
        ({"beam": {**EPICS, "off_below": 6}}, "beam.off_below: 6 is above on_above"),
        ({"beam": {**EPICS, "on_above": 2}}, "beam.off_below: 3 is above on_above"),
        ({"beam": {**EPICS, "noise_above": 5}}, "beam.noise_above: 5 is not above on_above"),
        ({"beam": {**EPICS, "permit_pv": "P"}}, "beam.permit_value: permit_pv and permit_value go together"),
        ({"beam": {**EPICS, "permit_value": 6}}, "beam.permit_value: permit_pv and permit_value go together"),
        ({"beam": {**FIXED, "current": -1}}, "beam.current: should be greater than or equal to 0, not -1"),
        ({"classify": {"kind": "torch"}}, "classify: kind is none of auto, keras, openvino, ray, fixed, not 'torch'"),
        ({"classify": {"batch": 0}}, "classify.batch: should be greater than or equal to 1, not 0"),
        ({"classify": {"max_wait_ms": 1001}}, "classify.max_wait_ms: should be less than or equal to 1000, not 1001"),
        ({"classify": {**FIXED, "scores": {}}}, "classify.scores: must not be empty"),
        ({"classify": {**FIXED, "scores": {"Good": 2}}}, "classify.scores.Good: should be less than or equal to 1"),
        ({"web": {"auth": "open"}}, "web.auth: should be 'none', 'local' or 'proxy', not 'open'"),
        ({"web": {"key": __file__}}, "web.key: certificate and key go together"),
        ({"web": {"certificate": __file__}}, "web.key: certificate and key go together"),
        ({"web": {"certificate": 3, "key": __file__}}, "web.certificate: should be a path, not 3"),
        (
            {"web": {"default_role": "admin"}},
            "web.default_role: should be 'viewer', 'labeler' or 'expert', not 'admin'",
        ),
        ({"web": {"session_h": 0}}, "web.session_h: should be greater than 0, not 0"),
        ({"web": {"https": "yes"}}, "web.https: should be a valid boolean, not 'yes'"),
        ({"logbook": {"kind": "paper"}}, "logbook: kind is none of none, olog, elog, not 'paper'"),
        ({"logbook": {"url": "https://olog"}}, "logbook.url: is no key of this table"),
        ({"logbook": {"kind": "olog"}}, "logbook.url: is missing"),
        ({"logbook": {"kind": "olog", "url": "https://olog"}}, "logbook.logbooks: is missing"),
        ({"logbook": {**OLOG, "url": "olog.example"}}, "logbook.url: is no address of a service, e.g. 'https://"),
        ({"logbook": {**OLOG, "url": "ftp://olog.example"}}, "logbook.url: is no address of a service"),
        ({"logbook": {**OLOG, "url": "https://olog.example/O log"}}, "logbook.url: is no address of a service"),
        ({"logbook": {**OLOG, "url": "https://olog.example?a=b"}}, "logbook.url: is no address of a service"),
        ({"logbook": {**OLOG, "url": "https://olog.example\n"}}, "logbook.url: is no address of a service"),
        ({"logbook": {**OLOG, "url": "https://h:x@olog"}}, "logbook.url: a password never stands here: use user and"),
        ({"logbook": {**OLOG, "logbooks": []}}, "logbook.logbooks: must not be empty"),
        ({"logbook": {**OLOG, "logbooks": [""]}}, "logbook.logbooks[0]: must not be empty"),
        ({"logbook": {**OLOG, "folder": "x"}}, "logbook.folder: is no key of this table"),
        ({"logbook": {"kind": "elog", "logbooks": ["A"]}}, "logbook.folder: is missing"),
        ({"logbook": {"kind": "elog", "logbooks": ["A"], "folder": 3}}, "logbook.folder: should be a path, not 3"),
        ({"logbook": "olog"}, "logbook: should be a table, not 'olog'"),
        ({"mail": {}}, "mail.host: is missing"),
        ({"mail": {**MAIL, "sender": "nobody"}}, "mail.sender: is no e-mail address, e.g. 'hydrad@counting.example'"),
        ({"mail": {**MAIL, "sender": "a@b\nBcc: c@d"}}, "mail.sender: is no e-mail address"),
        ({"mail": {**MAIL, "at": "7:00"}}, "mail.at: should match pattern"),
        ({"mail": {**MAIL, "at": "24:00"}}, "mail.at: should match pattern"),
        ({"mail": {**MAIL, "at": "07:00\n"}}, "mail.at: should match pattern"),
        ({"mail": {**MAIL, "address": "hydra.example"}}, "mail.address: is no address of a service"),
        ({"mail": {**MAIL, "port": 0}}, "mail.port: should be greater than or equal to 1, not 0"),
        ({"mail": 7}, "mail: should be a table, not 7"),
        ({"watch": [{**WATCH, "kind": "nfs"}]}, "watch[0].kind: should be 'auto', 'inotify' or 'polling', not 'nfs'"),
        ({"watch": [{"root": "x"}]}, "watch[0].pattern: either layout or pattern must stand here, and not both"),
        ({"watch": [{**WATCH, "pattern": "(?P<plot>a)"}]}, "watch[0].pattern: either layout or pattern must stand"),
        ({"watch": [{"root": "x", "pattern": "a"}]}, "watch[0].pattern: needs a group (?P<plot>…)"),
        ({"watch": [{"root": "x", "pattern": "("}]}, "watch[0].pattern: is no regular expression"),
        ({"watch": [{"root": "x", "pattern": "(?P<plot>a{9999999999})"}]}, "watch[0].pattern: is no regular expr"),
        ({"watch": [{"root": "x", "pattern": "(?P<plot>a)(?P<page>b)"}]}, "watch[0].pattern: knows no group page"),
        ({"watch": [{"root": "x", "pattern": "(?P<plot>a)(?P<time>b)"}]}, "watch[0].time_format: a pattern's group"),
        ({"watch": [{**WATCH, "time_format": "%Y"}]}, "watch[0].time_format: a pattern's group 'time' and time_format"),
        (
            {"watch": [{"root": "x", "pattern": "(?P<plot>a)(?P<time>b)", "time_format": "%Q"}]},
            "watch[0].time_format: is no format that times can be read by",
        ),
        (
            {"watch": [{"root": "x", "pattern": "(?P<plot>a)(?P<time>b)", "time_format": "%d %d"}]},
            "watch[0].time_format: is no format that times can be read by",
        ),
        ({"watch": [{**WATCH, "settle_ms": 0}]}, "watch[0].settle_ms: should be greater than 0, not 0"),
        ({"watch": [WATCH, WATCH]}, "watch: plots stands there twice"),
        ({"defaults": {"off_delay": 0}}, "defaults.off_delay: should be greater than or equal to 1, not 0"),
        ({"defaults": {"on_window": -1}}, "defaults.on_window: should be greater than or equal to 0, not -1"),
        ({"defaults": {"on_delay": 1001}}, "defaults.on_delay: should be less than or equal to 1000, not 1001"),
        ({"detector": [{"name": "B"}, {"name": "A"}] * 2}, "detector: A, B stands there twice"),
        ({"detector": [{"name": "A", "stale_s": 0}]}, "detector[0].stale_s: should be greater than 0, not 0"),
    ],
)
def test_a_fault_is_named_by_its_key(document, fault):
    first, *_ = faults_of(document)
    assert first.startswith(fault)


def test_a_beam_must_be_told():
    with pytest.raises(ConfigurationError) as refused:
        config.read({}, HOME)
    assert refused.value.faults == ("beam: is missing",)


def test_every_fault_is_named_at_once(tmp_path):
    document = {
        "hall": {"timezone": "Mars", "nme": "D"},
        "store": {"url": "oracle://x", "password_file": "none"},
        "beam": {**EPICS, "off_below": 9, "noise_above": 1, "permit_pv": "P", "units": 3},
        "watch": [{"root": "nowhere", "settle_ms": 0}, {**WATCH, "pattern": "("}],
        "detector": [{"name": "A"}, {"name": "A"}],
    }
    keys = [fault.split(":")[0] for fault in faults_of(document, tmp_path, folders=True)]
    assert sorted(keys) == [
        "beam.noise_above",
        "beam.off_below",
        "beam.permit_value",
        "beam.units",
        "detector",
        "hall.nme",
        "hall.timezone",
        "store.password_file",
        "store.url",
        "watch[0].pattern",
        "watch[0].root",
        "watch[0].settle_ms",
        "watch[1].pattern",
        "watch[1].root",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hydra.db",
        "sqlite://",
        "sqlite:///",
        "postgresql://u@h/db",
        "mysql://u@h/db",
        "mysql+mysqldb://u@h",
        "mysql+mysqldb://u@h/",
        "mysql+mysqldb:///db",
        "mysql+mysqldb://u@[::1/db",
        "mysql+mysqldb://u@h:port/db",
        "mysql+mysqldb://u@h/db\n",
    ],
)
def test_a_data_base_of_an_unknown_kind_is_refused(url):
    assert faults_of({"store": {"url": url}})[0].startswith("store.url: is no data-base URL, e.g. 'sqlite:///hydra.db'")


@pytest.mark.parametrize(
    "url",
    [
        "mysql+mysqldb://hydra@localhost/hydra",
        "mysql+mysqldb://hydra@127.0.0.1:3306/hydra?charset=utf8mb4",
        "mariadb+mysqldb://hydra@[::1]:3306/hydra",
        "mysql+mysqldb://localhost/hydra?unix_socket=/run/mysqld/mysqld.sock",
        "mysql+mysqldb://hydra%40hall@db.example.org/hydra",
    ],
)
def test_a_served_data_base_is_taken_as_it_stands(url, monkeypatch):
    monkeypatch.setenv("HYDRA_DB_PASSWORD", "p@ss:w/rd")
    loaded = read(store={"url": url})
    assert loaded.store.url == url
    address = loaded.store_url()
    assert address.database == "hydra"
    assert address.password == "p@ss:w/rd"  # noqa: S105  the very text under test
    assert "p@ss" not in f"{address} {address!r}"


@pytest.mark.parametrize(
    "document",
    [
        {"store": {"url": "mysql+mysqldb://hydra:xyzzy@localhost/hydra"}},
        {"store": {"url": "mysql+mysqldb://hydra:xy/xyzzy@localhost/hydra"}},
        {"store": {"url": "mysql+mysqldb://:xyzzy@localhost/hydra"}},
        {"store": {"url": "mysql+mysqldb://hydra@localhost/hydra?passwd=xyzzy"}},
        {"store": {"url": "mysql+mysqldb://hydra@localhost/hydra?a=b&password=xyzzy"}},
        {"store": {"url": "postgresql://hydra:xyzzy@localhost/hydra"}},
        {"store": {"url": ["xyzzy"]}},
        {"store": {"images": {"xyzzy": 1}}},
        {"store": {"keep_all_h": "xyzzy"}},
        {"store": {"password": "xyzzy"}},
        {"logbook": {**OLOG, "url": "https://hydra:xyzzy@olog.example/Olog"}},
        {"logbook": {**OLOG, "url": "hydra:xyzzy@olog.example/Olog"}},
        {"logbook": {**OLOG, "password": "xyzzy"}},
        {"mail": {**MAIL, "password": "xyzzy"}},
        {"mail": {**MAIL, "address": "https://hydra:xyzzy@hydra.example"}},
        {"store": "xyzzy"},
        {"store": [{"password": "xyzzy"}]},
    ],
)
def test_no_error_text_tells_a_password(document):
    with pytest.raises(ConfigurationError) as refused:
        config.read({"beam": FIXED, **document}, HOME)
    assert "xyzzy" not in "".join(traceback.format_exception(refused.value))


def test_a_password_in_the_url_is_told_where_it_belongs():
    [fault] = faults_of({"store": {"url": "mysql+mysqldb://hydra:@localhost/hydra"}})
    assert fault.startswith("store.url: a password never stands here: use password_file")


SERVED = "mysql+mysqldb://hydra@localhost/hydra"


@pytest.fixture(autouse=True)
def files_are_ones_own():
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def no_secrets(monkeypatch):
    monkeypatch.delenv("HYDRA_DB_PASSWORD", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


def secret_of(loaded):
    for text in (repr(loaded), str(loaded), repr(loaded.store_url()), str(loaded.store_url())):
        assert "xyzzy" not in text
    return loaded.store_url().password


@pytest.mark.usefixtures("no_secrets")
def test_the_password_comes_from_the_file_then_the_credential_then_the_environment(tmp_path, monkeypatch):
    loaded = config.read({"beam": FIXED, "store": {"url": SERVED}}, tmp_path)
    assert secret_of(loaded) is None
    monkeypatch.setenv("HYDRA_DB_PASSWORD", "xyzzy-1")
    assert secret_of(loaded) == "xyzzy-1"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert secret_of(loaded) == "xyzzy-1"
    (tmp_path / "hydrad-db-password").write_text("xyzzy-2\n", encoding="utf-8")
    assert secret_of(loaded) == "xyzzy-2"
    (tmp_path / "secret").write_text("xyzzy-3 µ\r\n# whose it is\n", encoding="utf-8")
    loaded = config.read({"beam": FIXED, "store": {"url": SERVED, "password_file": "secret"}}, tmp_path)
    assert secret_of(loaded) == "xyzzy-3 µ"


def test_a_process_may_have_an_account_of_its_own_in_the_data_base(tmp_path, monkeypatch):
    loaded = config.read({"beam": FIXED, "store": {"url": "mysql+mysqldb://hydra@localhost/hydra"}}, tmp_path)
    assert loaded.store_url().username == "hydra"
    monkeypatch.setenv("HYDRA_DB_USER", "hydrad_web")
    monkeypatch.setenv("HYDRA_DB_PASSWORD", "xyzzy")
    assert (loaded.store_url().username, loaded.store_url().password) == ("hydrad_web", "xyzzy")


def test_an_embedded_data_base_is_given_no_password(tmp_path, monkeypatch):
    monkeypatch.setenv("HYDRA_DB_PASSWORD", "xyzzy")
    url = config.read({"beam": FIXED}, tmp_path).store_url()
    engine = create_engine(url)
    with engine.connect():
        assert (tmp_path / "hydra.db").exists()
    engine.dispose()


@pytest.mark.usefixtures("no_secrets")
def test_a_password_file_that_vanished_or_holds_no_text_is_a_fault_of_the_configuration(tmp_path):
    file = tmp_path / "secret"
    file.write_bytes(b"xyzzy\xff")
    loaded = config.read({"beam": FIXED, "store": {"url": SERVED, "password_file": "secret"}}, tmp_path)
    with pytest.raises(ConfigurationError, match=r"store\.password_file: .*secret is no UTF-8 text") as refused:
        loaded.store_url()
    assert "xyzzy" not in "".join(traceback.format_exception(refused.value))
    file.unlink()
    with pytest.raises(ConfigurationError, match=r"store\.password_file: .*secret: No such file or directory"):
        loaded.store_url()


@pytest.mark.parametrize(
    ("section", "key"),
    [("store", "password_file"), ("logbook", "password_file"), ("mail", "password_file"), ("web", "key")],
)
def test_a_secret_that_everybody_can_read_is_refused(tmp_path, section, key):
    for name in ("secret", "certificate"):
        (tmp_path / name).write_text("xyzzy", encoding="utf-8")
        (tmp_path / name).chmod(0o644)
    base = {"web": {"certificate": "certificate"}, "logbook": OLOG, "mail": MAIL, "store": {}}[section]
    document = {section: {**base, key: "secret"}}
    [fault] = faults_of(document, tmp_path)
    assert fault == f"{section}.{key}: everybody on this host can read {tmp_path}/secret; chmod o-rwx it"
    (tmp_path / "secret").chmod(0o640)  # its group was let in
    assert config.read({"beam": FIXED, **document}, tmp_path)


@pytest.mark.parametrize("name", ["absent", "", "a" * 300, "a\0b"])
def test_a_password_file_must_be_a_file(tmp_path, name):
    [fault] = faults_of({"store": {"password_file": name}}, tmp_path)
    assert fault.startswith("store.password_file: ")
    assert fault.endswith("is no file that can be read")


@pytest.mark.parametrize("name", ["absent", "file", "a" * 300, "a\0b"])
def test_a_watched_folder_must_be_there_for_who_asks(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    document = {"beam": FIXED, "watch": [{**WATCH, "root": "folder"}, {**WATCH, "root": name}]}
    assert len(config.read(document, tmp_path).watch) == 2
    [fault] = faults_of(document, tmp_path, folders=True)
    assert fault.startswith("watch[1].root: ")
    assert fault.endswith("is no folder that can be read")


def test_relative_paths_count_from_the_files_folder(tmp_path, monkeypatch):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/secret").write_text("x", encoding="utf-8")
    (tmp_path / "etc/hydra.toml").write_text(
        "[store]\n"
        'url = "sqlite:///data/hydra.db"\n'
        'password_file = "secret"\n'
        'images = "/big/images"\n'
        "[beam]\n"
        'kind = "fixed"\n'
        "[[watch]]\n"
        'root = "../plots"\n'
        'layout = "plain"\n',
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    loaded = config.load(Path("etc/hydra.toml"))
    home = tmp_path.resolve() / "etc"
    assert loaded.store.url == f"sqlite:///{home}/data/hydra.db"
    assert loaded.store_url().database == f"{home}/data/hydra.db"
    assert loaded.store.password_file == home / "secret"
    assert loaded.store.images == Path("/big/images")
    assert loaded.store.models == home / "models"
    assert loaded.store.journal == home / "journal.db"
    assert loaded.watch[0].root == home / "../plots"


def test_paths_of_the_pages_count_from_the_files_folder_too(tmp_path):
    for name in ("web.crt", "web.key", "olog", "mail"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    document = {
        "beam": FIXED,
        "web": {"certificate": "web.crt", "key": "web.key", "cache": "/var/cache/hydra"},
        "logbook": {**OLOG, "password_file": "olog"},
        "mail": {**MAIL, "password_file": "mail"},
    }
    loaded = config.read(document, tmp_path)
    assert (loaded.web.certificate, loaded.web.key) == (tmp_path / "web.crt", tmp_path / "web.key")
    assert loaded.web.encrypted
    assert loaded.web.cache == Path("/var/cache/hydra")
    assert (loaded.logbook.password_file, loaded.mail.password_file) == (tmp_path / "olog", tmp_path / "mail")
    elog = {"kind": "elog", "folder": "queue", "logbooks": ["Operations"]}
    assert config.read({"beam": FIXED, "logbook": elog}, tmp_path).logbook.folder == tmp_path / "queue"
    assert read().mail is None
    assert read().logbook.kind == "none"


@pytest.mark.parametrize(("section", "key"), [("web", "certificate"), ("web", "key"), ("logbook", "password_file"),
                                              ("mail", "password_file")])  # fmt: skip
def test_a_file_of_the_pages_must_be_a_file(tmp_path, section, key):
    (tmp_path / "key").touch()
    base = {"web": {"certificate": __file__, "key": "key"}, "logbook": OLOG, "mail": MAIL}[section]
    [fault] = faults_of({section: {**base, key: "absent"}}, tmp_path)
    assert fault == f"{section}.{key}: {tmp_path}/absent is no file that can be read"


@pytest.mark.parametrize(
    "address", ["https://olog.example/Olog/", "http://127.0.0.1:8080/Olog", "https://[::1]:8181/Olog", "https://olog"]
)
def test_a_services_address_is_taken_as_it_stands_but_for_its_last_slash(address):
    assert read(logbook={**OLOG, "url": address}).logbook.url == address.rstrip("/")


@pytest.mark.parametrize("sender", ["hydrad@counting.example", "Hydra <hydrad@counting.example>", "h+1@localhost"])
def test_a_sender_is_an_address_with_or_without_a_name(sender):
    assert read(mail={**MAIL, "sender": sender}).mail.sender == sender


def test_an_absolute_data_base_stays_where_it_is():
    assert read(store={"url": "sqlite:////var/lib/hydra.db?timeout=5"}).store_url().database == "/var/lib/hydra.db"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"[beam", "is no TOML"),
        (b"[beam]\n[beam]\n", "is no TOML"),
        (b"[hall]\nname = '\xff'\n", "is no TOML"),
        (b"a = " + b"9" * 5000, "is no TOML"),
        (b"a = " + b"[" * 50000, "lists or tables lie too deep in each other"),
        (b"[web]\nport = 0x" + b"f" * 9000, "web.port: should be less than or equal to 65535, not a number as long"),
        (b"", "beam: is missing"),
    ],
)
def test_a_file_that_is_no_configuration_is_said_to_be_none(tmp_path, content, fault):
    path = tmp_path / "hydra.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=re.escape(fault)):
        config.load(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"hydra\.toml: No such file or directory"):
        config.load(tmp_path / "hydra.toml")
    with pytest.raises(ConfigurationError, match="Is a directory"):
        config.load(tmp_path)


def test_the_file_is_the_one_named_or_that_of_the_environment_or_the_default(monkeypatch):
    monkeypatch.setenv("HYDRA_CONFIG", "from/environment.toml")
    assert config.find(Path("named.toml")) == Path("named.toml")
    assert config.find(None) == Path("from/environment.toml")
    monkeypatch.setenv("HYDRA_CONFIG", "")
    assert config.find(None) == Path("etc/hydra.toml")


def test_one_beam_pv_is_a_list_of_one():
    assert read(beam=EPICS).beam.pv == ("BEAM",)
    assert read(beam={"pv": ["A", "B"]}).beam.pv == ("A", "B")


def test_a_time_zone_is_at_hand():
    assert str(read(hall={"timezone": "Europe/Berlin"}).hall.zone) == "Europe/Berlin"


def test_a_configuration_cannot_be_altered():
    with pytest.raises(ValueError, match="frozen"):
        read().hall.name = "E"


DETECTORS = [
    {"name": "FDC", "plots": ["FDC*", "Wire_*"], "on_delay": 4, "needs_beam": False},
    {"name": "CDC", "stale_s": 300.0},
    {"name": "Late", "plots": ["CDC_late"]},
]


@pytest.mark.parametrize(
    ("plot", "detector"),
    [
        ("FDC2_hits", "FDC"),
        ("Wire_1", "FDC"),
        ("CDC_occupancy", "CDC"),
        ("CDC", "CDC"),
        ("CDCx_occupancy", "CDCx"),
        ("CDC_late", "CDC"),  # the first that claims it
        ("cdc_occupancy", "cdc"),
        ("Faraday Cup_canvas0", "Faraday Cup"),
        ("plain", "plain"),
        ("_odd", "_odd"),
        ("", ""),
    ],
)
def test_a_plot_belongs_to_the_first_detector_that_claims_it_else_to_its_name(plot, detector):
    loaded = read(detector=DETECTORS)
    assert loaded.detector_of(plot) == detector
    assert loaded.rules_of(plot).detector == detector


def test_rules_are_the_defaults_but_where_the_detector_differs():
    loaded = read(detector=DETECTORS, defaults={"stale_s": 60, "off_delay": 3, "on_window": 5})
    rest = {"on_window": 5, "off_window": 0}
    assert loaded.rules_of("TOF_x") == Rules("TOF", needs_beam=True, stale_s=60.0, on_delay=2, off_delay=3, **rest)
    assert loaded.rules_of("FDC_x") == Rules("FDC", needs_beam=False, stale_s=60.0, on_delay=4, off_delay=3, **rest)
    assert loaded.rules_of("CDC_x") == Rules("CDC", needs_beam=True, stale_s=300.0, on_delay=2, off_delay=3, **rest)


@given(st.lists(st.text(alphabet="[]!-*?azAZ\\_^&|~", max_size=8), min_size=1, max_size=3), st.text(max_size=8))
def test_no_pattern_of_plots_is_too_odd_to_be_compared(patterns, plot):
    assert isinstance(read(detector=[{"name": "A", "plots": patterns}]).detector_of(plot), str)


# ---- no document whatever breaks the reader -------------------------------------------------------------------------

SECTIONS = {section for section in Section.__subclasses__() if section is not Config}
KEYS = sorted({*Config.model_fields, *(key for section in SECTIONS for key in section.model_fields)})
LIKELY = st.sampled_from([
    "epics", "fixed", "auto", "keras", "rsai", "none", "sqlite:///x", SERVED, "(?P<plot>a)", "(?P<plot>a)(?P<time>b)",
    "%Y", "CDC_*", "America/New_York", "127.0.0.1", "HYDRA:", "\0", "a" * 300,
])  # fmt: skip
scalars = st.one_of(
    LIKELY,
    st.text(max_size=6),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(10**4000), 2**64]),
    st.floats(),
    st.datetimes(),
    st.dates(),
    st.times(),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=3)), inner)
    ),
    max_leaves=12,
)


def table_of(*sections):
    keys = sorted({key for section in sections for key in section.model_fields})
    return st.dictionaries(st.sampled_from(keys), st.one_of(scalars, values), max_size=6)


tables = {
    "hall": table_of(config.Hall),
    "store": table_of(config.Store),
    "ioc": table_of(config.Ioc),
    "beam": table_of(config.EpicsBeam, config.FixedBeam),
    "classify": table_of(config.Models, config.FixedClassify),
    "web": table_of(config.Web),
    "logbook": table_of(config.NoLogbook, config.Olog, config.Elog),
    "mail": table_of(config.Mail),
    "watch": st.lists(table_of(config.Watch), max_size=2),
    "defaults": table_of(config.PlotDefaults),
    "detector": st.lists(table_of(config.Detector), max_size=2),
}
documents = st.fixed_dictionaries({}, optional={key: st.one_of(table, values) for key, table in tables.items()})


def lives_or_is_refused(document, folders):
    try:
        return config.read(document, HOME, folders=folders)
    except ConfigurationError as fault:
        return fault.faults


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(documents, st.booleans())
@example({"beam": FIXED, "watch": "abc", "store": "abc"}, True)
@pytest.mark.filterwarnings("ignore:Possible (nested set|set difference):FutureWarning")
def test_no_document_raises_anything_but_a_configuration_error(document, folders):
    answer = lives_or_is_refused(document, folders)
    if isinstance(answer, Config):
        assert answer.rules_of("CDC_occupancy").stale_s > 0
        assert answer.hall.zone is not None
    else:
        assert answer
        assert all(re.match(r"\S.*: \S", sentence, re.DOTALL) for sentence in answer)


def deep(depth):
    nest = []
    for _ in range(depth):
        nest = [nest]
    return nest


@pytest.mark.parametrize(
    "document",
    [
        {"beam": {"kind": deep(5000)}},
        {"hall": {"name": deep(5000)}},
        {"watch": deep(5000)},
        {"hall": {"x": deep(5000)}},
    ],
)
def test_no_list_is_too_deep_to_be_refused(document):
    assert len(faults_of(document, folders=True)) == 1


@given(st.from_regex(texts.SERVER, fullmatch=True))
def test_every_url_that_is_accepted_is_one_for_the_data_base_library(url):
    if not texts.PASSWORD.search(url):
        address = read(store={"url": url}).store_url()
        assert address.drivername in {"mysql+mysqldb", "mariadb+mysqldb"}
        assert address.host
        assert address.database


@pytest.mark.parametrize(
    ("sections", "address"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"web": {"host": "::1", "port": 9000}}, "http://[::1]:9000"),
        ({"web": {"https": True, "host": "hydra.example"}}, "https://hydra.example:8000"),
        ({"mail": MAIL | {"address": "https://hydra.example"}}, "https://hydra.example"),
    ],
)
def test_the_address_of_the_pages_is_told_by_what_the_file_says_of_them(sections, address):
    assert config.read({"beam": FIXED, **sections}, HOME).pages_address() == address


def test_pages_that_listen_everywhere_are_found_by_the_host_s_name():
    everywhere = "0.0.0.0"  # noqa: S104  nothing is bound
    assert everywhere not in config.read({"beam": FIXED, "web": {"host": everywhere}}, HOME).pages_address()
