"""No private key, token or password lies in the repository: a few shapes that nothing else has, in no file."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
LARGEST = 4 * 1024 * 1024  # bytes; what is larger is a model
SHAPES = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "an access key of a cloud": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a token of a code host": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{60,}|glpat-[\w-]{20})\b",
    "a token of a package index": r"\b(?:pypi-AgEI[\w-]{40,}|npm_[A-Za-z0-9]{36})\b",
    "a web token": r"\beyJ[\w-]{20,}\.eyJ[\w-]{20,}\.[\w-]{20,}",
    "a token of hydrad's own": r"\bhydrad_[A-Za-z0-9_-]{32,}\b",
    "a password in an address": r"\b[a-z][a-z0-9+]{2,15}://[\w.%-]+:(?![{<$…])[^\s/@:\"'{}]{3,}@(?!\{)[\w.-]+",
    "a digest of a password": r"\$argon2id?\$v=\d+\$[^\s\"']{30,}",
}
INVENTED = re.compile(r"xyzzy|secret|s3cret|password|hunter2|:p@|pw@|geheim|evil|abc@", re.IGNORECASE)  # of tests


def told(text: str) -> list[tuple[str, str]]:
    return [(kind, match[0]) for kind, shape in SHAPES.items() for match in re.finditer(shape, text)]


def test_no_file_holds_a_secret() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, check=True, capture_output=True).stdout
    files = [CHECKOUT / name for name in listed.decode().split("\0") if name]
    assert len(files) > 100
    found = []
    for file in files:
        assert file.suffix not in {".pem", ".key", ".p12", ".pfx", ".keystore", ".env", ".kdbx"}, file
        if file == Path(__file__) or not file.is_file() or file.stat().st_size > LARGEST:
            continue
        words = told(file.read_bytes().decode("latin-1"))
        found += [(str(file), kind) for kind, word in words if not (kind.endswith("address") and INVENTED.search(word))]
    assert not found


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("a private key", "-----BEGIN OPENSSH PRIVATE KEY-----"),
        ("a private key", "-----BEGIN PRIVATE KEY-----"),
        ("an access key of a cloud", "AKIA" + "A1B2C3D4E5F6G7H8"),
        ("a token of a code host", "ghp_" + "a" * 36),
        ("a token of a package index", "pypi-AgEI" + "a" * 60),
        ("a token of hydrad's own", "hydrad_" + "aB3_" * 10),
        ("a password in an address", "mysql+mysqldb://hydrad:Tr0ub4dor@db.lab"),
        ("a digest of a password", "$argon2id$v=19$m=65536,t=3,p=4$" + "c2FsdHNhbHQ" * 3),
    ],
)
def test_a_secret_would_be_found(kind: str, text: str) -> None:
    assert told(f"x = '{text}'") == [(kind, text)]


@pytest.mark.parametrize("text", ["mysql+mysqldb://hydra@localhost/hydra", "https://u:{}@h/x", "http://127.0.0.1:8000"])
def test_what_is_none_is_left_alone(text: str) -> None:
    assert not told(text)
