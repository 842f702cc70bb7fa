"""Fits a network to examples, keeps the best it ever was, and notices when it has learned nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hydrad import log
from hydrad.classify import backend
from hydrad.errors import HydradError
from hydrad.train.examples import Examples, Truth
from hydrad.train.memory import Memory, State, Values
from hydrad.train.precision import FULL, Precision, layers_in, policy_of
from hydrad.train.progress import Progress, Tell
from hydrad.train.reading import in_threads

TELL_EVERY_S: Final = 1.0
PREDICTED_AT_ONCE: Final = 64

# of a batch, shape (images, height, width, channels), which of the training images these are, and what decides
Augment = Callable[[npt.NDArray[np.uint8], npt.NDArray[np.int64], np.random.Generator], npt.NDArray[np.uint8]]
Batch = tuple[npt.NDArray[np.uint8], Truth, npt.NDArray[np.float32] | None]

_log = log.get("train")


@dataclass(frozen=True, slots=True)
class Course:
    """How long and how boldly a network learns."""

    epochs: int = 12
    batch: int = 32
    rate: float = 2e-3  # of learning at its height; it rises for half an epoch, then falls along a cosine
    decay: float = 1e-4  # of the weights (AdamW)
    seed: int = 1
    attempts: int = 3
    given_time: int = 4  # epochs after which a network must be better than the plateau
    plateau: float = 0.2  # of the way from guessing to perfection, in balanced validation accuracy
    least_steps: int = 1  # batches of an epoch: a small set is passed several times


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A network that learned, the seed it started from, and its curve: one entry per epoch and quantity."""

    model: Any  # keras.Model
    seed: int
    curve: dict[str, list[float]] = field(default_factory=dict)
    best_epoch: int = 0  # from 1: whose weights these are
    given_up: tuple[Mapping[str, Any], ...] = ()  # ``seed`` and ``curve`` of each attempt that was stuck


@dataclass(frozen=True, slots=True)
class Means:
    """What a network may use to learn; the defaults are those of a test."""

    tell: Tell = lambda _: None
    augment: Augment | None = None
    precision: Precision = FULL
    threads: int = 1  # with more than one, batches are made while the network learns from the one before
    work: Path | None = None  # folder that keeps what is needed to go on after a stop


class StuckError(HydradError):
    """No attempt left the plateau: the labels, or the network, are not up to it."""


def fit(
    make: Callable[[], Any], training: Examples, validation: Examples, course: Course, means: Means | None = None
) -> Fitted:
    """Train a fresh network, again from another seed when it stays on the plateau.

    A network that calls everything the most frequent label may look good by plain accuracy; balanced validation
    accuracy (the mean of the labels' recalls) shows it. Of all epochs the best by it is kept, of equals the one with
    the lowest validation loss. Equal arguments give equal networks on a CPU, also after a stop in between.

    Args:
        make: builds the untrained network, from values 0 to 255 to probabilities.
        training: what is learned from, each by its weight.
        validation: at least two labels.
        course: how long and how boldly.
        means: what it may use; with a folder for work, a training that stopped goes on where it was.

    Raises:
        StuckError: when all attempts stay there.
        Stopped: whoever is told of the progress wants no more of it.
        ConfigurationError: the folder for work is that of another training.
    """
    means = means or Means()
    memory = Memory(means.work, f"{training.fingerprint} {validation.fingerprint} {asdict(course)} {means.precision}")
    state = memory.recall()
    while state.attempt < course.attempts:
        seed = course.seed + state.attempt
        fitted = _Attempt(make, training, validation, course, means, state, memory).run(seed)
        if fitted is not None:
            return fitted
        _log.warning("training_restarted", seed=seed, reason="no better than guessing", attempt=state.attempt + 1)
        given_up = [*state.given_up, {"seed": seed, "curve": state.curve}]
        state = State(attempt=state.attempt + 1, given_up=given_up)
        memory.keep(state)
    raise StuckError(f"{course.attempts} attempts learned nothing: check the labels, or give more examples")


def balanced_accuracy(truth: Truth, said: Truth) -> float:
    """The mean of the labels' recalls, 0 to 1; labels without examples do not count."""
    return float(np.mean([np.mean(said[truth == label] == label) for label in np.unique(truth)]))


def scores_of(model: Any, images: npt.NDArray[np.uint8], batch: int = PREDICTED_AT_ONCE) -> npt.NDArray[np.float32]:
    """A network's probabilities for many images, shape (images, labels)."""
    found = []
    for start in range(0, len(images), batch):
        piece = images[start : start + batch]
        padded = np.concatenate([piece, np.zeros((batch - len(piece), *piece.shape[1:]), np.uint8)])
        found.append(np.asarray(model.predict_on_batch(padded), np.float32)[: len(piece)])
    return np.concatenate(found)


@dataclass(slots=True, eq=False)
class _Attempt:
    """One network's way from its seed, or from where it was stopped, to its best."""

    make: Callable[[], Any]
    training: Examples
    validation: Examples
    course: Course
    means: Means
    state: State
    memory: Memory
    batch: int = field(init=False)
    steps: int = field(init=False)  # batches of an epoch
    begun: int = field(init=False)  # steps that took no time of this process
    started: float = field(init=False)
    told: float = field(init=False)

    def __post_init__(self) -> None:
        self.batch = min(self.course.batch, len(self.training))
        self.steps = max(-(-len(self.training) // self.batch), self.course.least_steps)
        self.begun = self.state.epoch * self.steps
        self.told = self.started = time.monotonic()

    def run(self, seed: int) -> Fitted | None:
        """Learn to the end; None when it stayed on the plateau."""
        keras, course, state = backend.keras(), self.course, self.state
        keras.utils.set_random_seed(seed)
        with layers_in(policy_of(self.means.precision)):
            model = self._compiled(self.make())
        variables = [*model.variables, *model.optimizer.variables]
        if state.variables:
            for variable, value in zip(variables, state.variables, strict=True):
                variable.assign(value)
        while state.epoch < course.epochs:
            loss = self._learn(model, seed)
            state = self._judged(model, loss)
            state.variables = _values(variables)
            if state.epoch == min(course.given_time, course.epochs) and self._stuck():
                return None
            self.memory.keep(state)
            self._tell(state.epoch * self.steps, state.epoch, loss)
        for variable, value in zip(model.weights, state.best_weights, strict=True):
            variable.assign(value)
        return Fitted(self._plain(model), seed, state.curve, state.best_epoch, tuple(state.given_up))

    def _compiled(self, model: Any) -> Any:
        keras, course = backend.keras(), self.course
        schedule = keras.optimizers.schedules.CosineDecay(
            0.1 * course.rate,
            max(1, self.steps * course.epochs - self.steps // 2),
            warmup_target=course.rate,
            warmup_steps=max(1, self.steps // 2),
        )
        model.compile(keras.optimizers.AdamW(schedule, weight_decay=course.decay), "sparse_categorical_crossentropy")
        model.optimizer.build(model.trainable_variables)
        return model

    def _learn(self, model: Any, seed: int) -> float:
        """One epoch; returns its mean loss."""
        model.reset_metrics()
        loss = 0.0
        epoch = self.state.epoch
        with closing(self._batches(seed, epoch)) as batches:
            for step, (images, truth, weights) in enumerate(batches):
                # The running mean of the epoch, by which waits for the network too: a stop comes after this batch.
                loss = float(np.asarray(model.train_on_batch(images, truth, sample_weight=weights)).ravel()[0])
                if not step and epoch * self.steps == self.begun:
                    self.started, self.begun = (
                        time.monotonic(),
                        self.begun + 1,
                    )  # it was compiled, which costs seconds
                if time.monotonic() - self.told >= TELL_EVERY_S:
                    self._tell(epoch * self.steps + step + 1, epoch + 1, loss)
        return loss

    def _batches(self, seed: int, epoch: int) -> Generator[Batch, None, None]:
        """The epoch's batches, all of one size: what order and augmentation are depends on seed and epoch alone."""
        rng = np.random.default_rng([seed, epoch])
        wanted = self.steps * self.batch
        passes = [rng.permutation(len(self.training)) for _ in range(-(-wanted // len(self.training)))]
        order = np.concatenate(passes)[:wanted].reshape(self.steps, self.batch)

        def batch(step: int) -> Batch:
            chosen = order[step]
            images = self.training.images[chosen]
            if self.means.augment is not None:
                images = self.means.augment(images, chosen, np.random.default_rng([seed, epoch, step]))
            weights = None if self.training.weights is None else self.training.weights[chosen]
            return images, self.training.truth[chosen], weights

        if self.means.threads > 1 and self.means.augment is not None:
            yield from in_threads(batch, range(self.steps), 1)
        else:
            yield from map(batch, range(self.steps))

    def _judged(self, model: Any, loss: float) -> State:
        """Measure on the validation images, and keep the weights if they are the best so far."""
        state, truth = self.state, self.validation.truth
        scores = scores_of(model, self.validation.images)
        balanced = balanced_accuracy(truth, scores.argmax(axis=1))
        surprise = float(-np.log(np.clip(scores[np.arange(len(scores)), truth], 1e-9, 1.0)).mean())
        for name, value in (("loss", loss), ("validation_loss", surprise), ("balanced_accuracy", balanced)):
            state.curve.setdefault(name, []).append(value)
        state.epoch += 1
        if state.best is None or (balanced, -surprise) > state.best:
            state.best, state.best_epoch = (balanced, -surprise), state.epoch
            state.best_weights = _values(model.weights)
        _log.info(
            "epoch_done",
            epoch=state.epoch,
            of=self.course.epochs,
            **{name: round(values[-1], 4) for name, values in state.curve.items()},
        )
        return state

    def _stuck(self) -> bool:
        guess = 1 / len(np.unique(self.validation.truth))
        best = 0.0 if self.state.best is None else self.state.best[0]
        return best < guess + self.course.plateau * (1 - guess)

    def _plain(self, model: Any) -> Any:
        """The network in float32 throughout, as it will serve."""
        if policy_of(self.means.precision) == FULL:
            return model
        plain = self.make()
        for variable, trained in zip(plain.weights, _values(model.weights), strict=True):
            variable.assign(trained)
        return plain

    def _tell(self, step: int, epoch: int, loss: float) -> None:
        self.told = time.monotonic()
        whole = self.course.epochs * self.steps
        passed = step - self.begun
        balanced = self.state.curve.get("balanced_accuracy")
        self.means.tell(
            Progress(
                stage="learning",
                done=step / whole,
                epoch=epoch,
                epochs=self.course.epochs,
                loss=round(loss, 5),
                balanced_accuracy=None if not balanced else round(balanced[-1], 5),
                attempt=self.state.attempt + 1,
                left_s=round((self.told - self.started) / passed * (whole - step), 1) if passed > 0 else None,
            )
        )


def _values(variables: Sequence[Any]) -> Values:
    """What variables hold, as arrays; a copy is a tensor, which NumPy reads without a warning of Keras's."""
    ops = backend.keras().ops
    return [np.asarray(ops.convert_to_numpy(ops.copy(variable))) for variable in variables]
