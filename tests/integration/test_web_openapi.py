"""The API keeps what its description says, whatever it is asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from schemathesis.checks import not_a_server_error
from schemathesis.errors import SchemathesisError
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from web_world import usual, world

from hydrad.domain import Role
from hydrad.store.models.registry import Who
from hydrad.store.people import accounts, passes
from hydrad.web.app import application, site_of

EXAMPLES = int(os.environ.get("HYDRA_FUZZ_EXAMPLES", "8"))  # of each operation; `make fuzz` asks for many more
ENDLESS = "/api/v1/events"  # a stream: it has no end to wait for
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """Everything, served from a furnished data base to whoever asks."""
    with ExitStack() as stack:
        here = world(tmp_path_factory.mktemp("fuzzed"), web='hosts = ["testserver"]')
        stack.enter_context(here.store)
        here.see(*usual())
        here.beat()
        here.serve()
        root = Who("root", "counting-1", "cli")
        otto = accounts.add(here.store, "otto", Role.EXPERT, root)
        passes.make_token(here.store, otto, root)
        yield application(site_of(here.config, stack))


@pytest.fixture(scope="module")
def described(app: FastAPI) -> Any:
    """Its description, as schemathesis reads it."""
    config = schemathesis.Config.from_dict({"generation": {"allow-x00": True}})
    return schemathesis.openapi.from_asgi("/api/openapi.json", app, config=config)


@pytest.mark.timeout(60 * EXAMPLES)
def test_nothing_that_can_be_asked_breaks_the_server(described: Any) -> None:
    broken = []
    for found in described.exclude(path=ENDLESS).get_all_operations():
        operation = found.ok()

        @given(case=_anything(operation))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize="HYDRA_FUZZ_EXAMPLES" not in os.environ,  # the same in every run, unless one looks for more
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS)

        try:
            ask()
        except (BaseExceptionGroup, AssertionError, SchemathesisError) as fault:
            broken.append(f"{operation.label}: {fault}")
    assert not broken, "\n\n".join(broken)


def _anything(operation: Any) -> SearchStrategy[schemathesis.Case]:
    """What the description allows, and what it does not."""
    return st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))
