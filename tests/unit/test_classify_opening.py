"""What opens models travels to workers, who know by it which model they have open."""

from __future__ import annotations

import pickle
from pathlib import Path

from reprocessing_world import job_of

from hydrad import shipped
from hydrad.classify.fitness import Wanted
from hydrad.classify.opening import Opener
from hydrad.classify.ray_broker import Remote, _opened


def sent(what: object) -> object:
    """As it arrives in another process."""
    return pickle.loads(pickle.dumps(what))  # noqa: S301  our own, of this moment


def test_a_job_that_is_sent_again_is_the_one_that_the_worker_has_at_hand(tmp_path: Path) -> None:
    job = job_of(shipped.folder(), tmp_path, Opener("openvino", "float32"))
    assert sent(job) == sent(job)
    assert sent(job) != sent(job_of(shipped.folder(), tmp_path, Opener("openvino", "bfloat16")))


def test_a_model_that_is_sent_again_is_opened_once() -> None:
    model = Remote(Wanted.of(shipped.folder()), Opener("openvino", "float32"), 4)
    try:
        assert _opened(sent(model)) is _opened(sent(model))
    finally:
        _opened.cache_clear()
