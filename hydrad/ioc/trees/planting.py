"""A hall's alarm tree: hall, detectors, plots; one fault is one alarm.

A plot's STATUS is what alarms. Its detector's STATUS, which is that of its worst plot, counts only in a flood: then
those of its plots that join have no alarm of their own. The hall's SUMMARY, which is that of its worst detector, counts
not at all. What says nothing while the pipeline stands still, or the IOC is gone, is masked by WATCHDOG.
"""

from __future__ import annotations

from collections.abc import Iterator

from hydrad.ioc.names import part
from hydrad.ioc.plan import Detector, Hall, Plot
from hydrad.ioc.trees.tree import Alarm, Condition, Group, Note, Tree

OVERVIEW, HEALTH = "hall.bob", "health.bob"  # screens

_MEANS = (
    "BAD: faulty for several images in a row. NODATA: empty although there is beam. SUSPECT: the model is not sure, or "
    "it has not lasted long enough. UNFAMILIAR: unlike anything known. STALE: no new images although there should be "
    "some. Why exactly is in {reason}."
)
_EITHER_WAY = "Look at the plot's page and at the reason; then call the expert of {detector}."


def plant(hall: Hall, screens: str) -> Tree:
    """The tree of a hall.

    Args:
        screens: folder or address of the screens, as the alarm handler's clients find them.
    """
    links = _Links(hall, screens.rstrip("/"))
    root = part(hall.prefix.strip(":"))
    groups = [_detector(hall, one, links) for one in hall.detectors]
    while any(group.part == root for group in groups):
        root += "_HALL"
    return Tree(
        name=root,
        hall=Group(
            name=f"Hall {hall.name}",
            part=root,
            guidance=(Note("Where to look", "The wall, or the hall's screen: it shows what is wrong first, and why."),),
            displays=(links.screen("Hall", OVERVIEW), links.page("Wall", "")),
            alarms=tuple(_of_the_hall(hall, links)),
            groups=tuple(groups),
        ),
    )


class _Links:
    def __init__(self, hall: Hall, screens: str) -> None:
        self._address = hall.address
        self._screens = screens

    def screen(self, title: str, file: str) -> Note:
        return Note(title, f"{self._screens}/{file}")

    def page(self, title: str, page: str) -> Note:
        return Note(title, f"{self._address}/{page}")


def _gets_on(hall: Hall) -> Condition:
    return Condition("A<2", {"A": hall.pv("WATCHDOG")})


def _of_the_hall(hall: Hall, links: _Links) -> Iterator[Alarm]:
    health = (links.screen("Health of hydrad", HEALTH), links.page("Status", "status"))
    yield Alarm(
        pv=hall.pv("WATCHDOG"),
        name="WATCHDOG",
        description="hydrad does not get on",
        guidance=(
            Note(
                "What it means",
                "STALLED or disconnected: hydrad judges nothing, and no status can be trusted; shift crews look at the "
                "plots themselves until it is back. DEGRADED: it goes on in spite of a trouble; the health screen says "
                "which.",
            ),
            Note("What to do", "On hydrad's host: systemctl status hydrad; journalctl -u hydrad."),
        ),
        displays=health,
        # A trouble that has an alarm of its own is not alarmed twice.
        counts_when=Condition(
            "A==2||!(B==1||C==1)",
            {"A": hall.pv("WATCHDOG"), "B": hall.pv("DB:STATUS"), "C": hall.pv("MODEL:STATUS")},
        ),
    )
    yield Alarm(
        pv=hall.pv("DB:STATUS"),
        name="DB:STATUS",
        description="hydrad's data base does not answer",
        guidance=(
            Note(
                "What it means",
                "Plots are judged as before; verdicts wait on hydrad's disk, and the pages show old ones.",
            ),
            Note("What to do", "See that the data base server runs and can be reached from hydrad's host."),
        ),
        displays=health,
        counts_when=_gets_on(hall),
    )
    yield Alarm(
        pv=hall.pv("MODEL:STATUS"),
        name="MODEL:STATUS",
        description="A model of hydrad's was refused, or is blind",
        guidance=(
            Note(
                "What it means",
                "A model that should serve cannot; what served before goes on, where there was one. Or one that serves "
                "does not find an image bad that is known to be: then its green is worth nothing. The page Status says "
                "which.",
            ),
            Note("What to do", "The page Library says which and why; an expert rolls back or promotes another."),
        ),
        displays=(health[0], links.page("Library", "library")),
        counts_when=_gets_on(hall),
    )
    yield Alarm(
        pv=hall.pv("BEAM:STATE"),
        name="BEAM:STATE",
        description="hydrad does not know whether there is beam",
        guidance=(
            Note(
                "What it means",
                "The beam current cannot be read. Empty plots are SUSPECT until it can. Beam that is off is no alarm.",
            ),
            Note("What to do", "See that the PV of the beam current is served and valid."),
        ),
        displays=health,
        counts_when=_gets_on(hall),
    )
    yield Alarm(
        pv=hall.pv("RUN:STATE"),
        name="RUN:STATE",
        description="hydrad does not know whether a run is going",
        guidance=(
            Note(
                "What it means",
                "The state of the run cannot be read. Until it can, plots are judged as if one were going.",
            ),
            Note("What to do", "See that the PVs of run and DAQ are served and valid."),
        ),
        displays=health,
        counts_when=_gets_on(hall),
    )
    yield Alarm(
        pv=hall.pv("SUMMARY"),
        name="SUMMARY",
        description=f"The worst detector of hall {hall.name}",
        guidance=(
            Note(
                "What it means",
                "The status of the worst detector. Not enabled, since each plot alarms by itself: a parent to mask by, "
                "and one alarm for all to those who want no more.",
            ),
        ),
        displays=(links.screen("Hall", OVERVIEW),),
        enabled=False,
        counts_when=_gets_on(hall),
    )


def _detector(hall: Hall, detector: Detector, links: _Links) -> Group:
    served = [plot for plot in detector.plots if plot.served]
    guidance = [Note("What to do", detector.guidance or _EITHER_WAY.format(detector=detector.name))]
    if detector.expert:
        guidance.append(Note("Whom to call", detector.expert))
    flood = Alarm(
        pv=detector.pv("STATUS"),
        name=f"{detector.name}:STATUS",
        description=f"{detector.name}: many plots at once",
        guidance=(
            Note(
                "What it means",
                f"Many plots of {detector.name} alarm at once: probably one fault, so it is one alarm. Which ones is "
                f"in {detector.pv('MSG')}.",
            ),
        ),
        displays=(links.page("Wall", ""),),
        counts_when=Condition("A==1&&B<2", {"A": detector.pv("FLOOD"), "B": hall.pv("WATCHDOG")}),
    )
    return Group(
        name=detector.name,
        part=detector.part,
        guidance=tuple(guidance),
        displays=tuple(links.screen(detector.name, page.file) for page in detector.pages[:1]),
        alarms=(*([flood] if served else []), *(_plot(hall, detector, plot, links) for plot in served)),
    )


def _plot(hall: Hall, detector: Detector, plot: Plot, links: _Links) -> Alarm:
    file = next(page.file for page in detector.pages if plot in page.plots)
    return Alarm(
        pv=plot.pv("STATUS"),
        name=plot.name,
        description=plot.shown,
        guidance=(Note("What it means", _MEANS.format(reason=plot.pv("MSG"))),),
        displays=(links.page("Images and history", plot.page), links.screen(f"{plot.shown} among the others", file)),
        counts_when=_gets_on(hall),
    )
