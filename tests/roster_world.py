"""A roster with the world around it, for tests of what is remembered and shown of every plot."""

from __future__ import annotations

from datetime import timedelta

from fakes import ON, Clock, arrival, card, configuration, picture, prediction

from hydrad.domain import SOME_RUN, Cause, Change, Run, RunState
from hydrad.roster import Roster
from hydrad.settings import Settings

PLOT = "CDC_occupancy"
COSMIC = Run(RunState.RUNNING, 7, "cosmic", masked=True)
PHYSICS = Run(RunState.RUNNING, 8, "physics")
IDLE = Run(RunState.IDLE, 8, "physics")


class Hall:
    """A roster with the world around it: a clock, a beam, a model, and a memory that outlives the daemon."""

    def __init__(self, **tables):
        self.config = configuration(**tables)
        self.clock = Clock()
        self.beam = ON
        self.run = SOME_RUN
        self.cards = {}
        self.settings = Settings()
        self.roster = Roster(self.config, self.card, self.settings)
        self.pixels = {}
        self.verdicts = []

    def card(self, plot):
        return self.cards.get(plot, card())

    def image(
        self, label="Good", *, plot=PLOT, age_s=0.0, confidence=0.97, content=None, novelty=None, beam=None, run=None
    ):
        """Judge one image; a label of None is one that the model did not answer."""
        now = self.clock()
        shown = picture(f"{plot}{now}{age_s}" if content is None else content)
        model = self.card(plot)
        said = None
        if label is not None and model is not None:
            said = prediction(label, confidence, model=model.id, novelty=novelty)
        verdict = self.roster.judge(
            arrival(plot, now - timedelta(seconds=age_s)),
            shown,
            said,
            beam=beam or self.beam,
            beam_now=self.beam,
            now=now,
            run=run or self.run,
            run_now=self.run,
        )
        if not verdict.superseded:
            self.pixels[plot] = shown.pixels_digest
        self.verdicts.append(verdict)
        return verdict

    def images(self, *labels, every_s=30, **how):
        """Judge several, one after the other; the statuses they gave."""
        statuses = []
        for label in labels:
            self.clock.advance(every_s)
            statuses.append(self.image(label, **how).status.name)
        return statuses

    def later(self, seconds, cause=Cause.CLOCK):
        """Let time pass; what that altered."""
        return self.roster.look_again(self.beam, self.clock.advance(seconds), cause, run=self.run)

    def change(self, key, value, *, plot=PLOT, detector=None, reason="", by="ana"):
        return self.roster.change(
            Change(key, value, by, "desk", self.clock(), "ca", plot=plot, detector=detector, reason=reason)
        )

    def restart(self):
        """A new daemon, which remembers what was shown last."""
        remembered = [(self.roster.shown(plot), self.pixels.get(plot)) for plot in self.roster]
        self.roster = Roster(self.config, self.card, self.settings)
        self.roster.restore(remembered)

    @property
    def status(self):
        return self.roster.shown(PLOT).status.name

    @property
    def reason(self):
        return self.roster.shown(PLOT).reason


def statuses(verdicts):
    return [(verdict.plot, verdict.status.name) for verdict in verdicts]
