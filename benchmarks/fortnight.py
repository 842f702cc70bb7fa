"""What two weeks of a hall leave in a data base: which images came, what was said of them, which plots were not well.

The rows are made inside the server, from sequences: sent there one by one they would take an hour. Digests are MD5,
since a server has no BLAKE2; nothing but their being unique matters here.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hydrad.domain import Meaning, Status

DAYS = 14
RUNS_A_DAY = 10
DETECTORS = (
    "CDC", "FDC", "DC", "BCAL", "FCAL", "TOF", "ST", "TAGH", "PS", "HTCC",
    "LTCC", "RICH", "SVT", "BMT", "CND", "CTOF", "FT", "ECAL", "GEM", "RF",
)  # fmt: skip
KINDS = ("occupancy", "adc", "time", "multiplicity")
PLOTS = tuple(
    (detector, f"{detector}_{kind}{sector}")
    for detector in DETECTORS
    for sector in ("", "_s2", "_s3", "_s4", "_s5")
    for kind in KINDS
)
MODEL = "simulated-hall"
MEANINGS = {"Good": Meaning.GOOD, "Bad": Meaning.BAD, "NoData": Meaning.EMPTY}
CELLS = (16, 24)  # of a heatmap
SAYINGS = 997  # different answers of the model to a good image; a prime, so that plots do not repeat them in step
WITHOUT_BEAM = 1000  # added to the number of an answer that was given without beam
HOUR_WITHOUT_BEAM = 12  # of each day, counted back from the end
MAPS = 211

# Temporary tables: the plots in the order of a dump, the model's answers, heatmaps, the newest images' files.
AIDS = """
CREATE OR REPLACE TABLE bench_plots (n INT PRIMARY KEY, plot_id BIGINT, detector_id BIGINT, name VARCHAR(60))
    ENGINE=MEMORY;
CREATE OR REPLACE TABLE bench_sayings (
    n INT PRIMARY KEY, status VARCHAR(12), label VARCHAR(12), confidence DOUBLE, scores VARCHAR(200), confirmed BOOLEAN,
    novelty DOUBLE, reason VARCHAR(80)
) ENGINE=MEMORY;
CREATE OR REPLACE TABLE bench_maps (n INT PRIMARY KEY, cells VARBINARY(400)) ENGINE=MEMORY;
CREATE OR REPLACE TABLE bench_pictures (n INT PRIMARY KEY, sha256 BINARY(32), size INT, width INT, height INT)
    ENGINE=MEMORY;
CREATE OR REPLACE TABLE bench_faults (
    id BIGINT PRIMARY KEY, status VARCHAR(12), severity VARCHAR(12), label VARCHAR(12), confidence DOUBLE,
    scores VARCHAR(200), confirmed BOOLEAN, novelty DOUBLE, reason VARCHAR(80), bad_in_a_row INT
) ENGINE=InnoDB;
CREATE OR REPLACE TABLE bench_episodes (
    status VARCHAR(12), severity VARCHAR(12), images INT, first_id BIGINT, alarm_id BIGINT, last_id BIGINT,
    worst_id BIGINT, end_id BIGINT, seen_after_s INT, seen_by VARCHAR(20)
) ENGINE=InnoDB;
CREATE OR REPLACE TABLE bench_labelled (id BIGINT PRIMARY KEY, ago_s INT, person VARCHAR(20)) ENGINE=InnoDB
"""

# The detectors that plots hang on, and the plots' labels.
HUNG = """
UPDATE plots JOIN detectors ON SUBSTRING_INDEX(plots.name, '_', 1) = detectors.name SET detector_id = detectors.id
"""
NAMED = "INSERT INTO labels (plot_id, digest, name, meaning) SELECT id, %s, %s, %s FROM plots"

# One line for each image that came, in the order in which they did: all plots of a dump, then the next dump. Each level
# is worked out once (the session is told not to merge them).
CAME = """
SELECT timed.*, CONCAT('/data/monitoring/Run', LPAD(run, 6, '0'), '/', name, '_', LPAD(chunk, 4, '0'), '.png') AS path,
    COALESCE(sha256, UNHEX(SHA2(CONCAT('image ', id), 256))) AS content,
    COALESCE(size, 21000 + seq MOD 9973) AS bytes, COALESCE(width, 1000) AS wide, COALESCE(height, 920) AS high
FROM (
    SELECT dumped.*, since_s DIV %(run_s)s + 30000 AS run, since_s MOD %(run_s)s * 1000000 DIV %(dump_us)s AS chunk,
        judged_at - INTERVAL 200000 MICROSECOND AS taken_at
    FROM (
        SELECT seq, %(after)s + seq + 1 AS id, seq DIV %(plots)s AS dump, n, plot_id, detector_id, name,
            TIMESTAMP(%(since)s) + INTERVAL (seq DIV %(plots)s * %(dump_us)s + n * %(plot_us)s) MICROSECOND
                AS judged_at,
            %(since_s)s + (seq DIV %(plots)s * %(dump_us)s + n * %(plot_us)s) DIV 1000000 AS since_s,
            IF((%(dumps)s - seq DIV %(plots)s) * %(dump_us)s DIV 3600000000 MOD 24 = %(dark_h)s, %(dark)s, 0) AS dark
        FROM seq_0_to_999999999 STRAIGHT_JOIN bench_plots ON n = seq MOD %(plots)s
        WHERE seq BETWEEN %(first)s AND %(last)s
    ) AS dumped
) AS timed
LEFT JOIN bench_pictures
    ON bench_pictures.n = IF(dump < %(dumps)s - %(pictures)s, -1, (7 * timed.n + dump) MOD %(pictures)s)
"""
ITS_SAYING = f"bench_sayings.n = (seq * 31 + came.n) MOD {SAYINGS} + dark"

VERDICTS = f"""
INSERT INTO verdicts (
    id, digest, verdict_key, plot_id, detector_id, image_id, status, severity, reason, judged_at, cause, beam_state,
    beam_current, beam_units, beam_read_at, beam_reason, beam_since, bad_in_a_row, superseded, path, run, chunk, sha256,
    taken_at, model, label, confidence, scores, meanings, confirmed, novelty, heatmap, heatmap_rows, heatmap_columns
)
SELECT STRAIGHT_JOIN came.id, UNHEX(MD5(CONCAT('verdict ', came.id))), MD5(came.id), plot_id, detector_id, came.id,
    status, 'NO_ALARM', reason, judged_at, 'image', IF(dark, 'OFF', 'ON'), IF(dark, 0.4, 200 + seq MOD 37 / 10), 'nA',
    judged_at - INTERVAL 1 SECOND, '', TIMESTAMP(%(since)s), 0, 0, path, run, chunk, content, taken_at,
    %(model)s, label, confidence, scores, %(meanings)s, confirmed, novelty,
    cells, %(map_rows)s, %(map_columns)s
FROM ({CAME}) AS came
JOIN bench_sayings ON {ITS_SAYING}
JOIN bench_maps ON bench_maps.n = seq MOD %(maps)s
"""  # noqa: S608  put together from this file's own words

IMAGES = f"""
INSERT INTO images (id, sha256, plot_id, size, format, width, height, path, run, chunk, taken_at, kept, sampled)
SELECT id, content, plot_id, bytes, 'png', wide, high, path, run, chunk, taken_at,
    seq * 7 MOD 50 = 0 OR dump >= %(dumps)s - 24 * 3600000000 DIV %(dump_us)s, seq * 7 MOD 50 = 0
FROM ({CAME}) AS came
"""  # noqa: S608  likewise

FILES = f"""
INSERT INTO files (
    digest, path, path_digest, size, mtime_ns, sha256, outcome, reason, plot_id, verdict_id, run, seen_at, done_at
)
SELECT STRAIGHT_JOIN UNHEX(MD5(CONCAT('sighting ', id))), path, UNHEX(MD5(path)), bytes,
    1000000000 * (%(epoch_s)s + since_s), content, 'judged', reason, plot_id, id, run,
    judged_at - INTERVAL 100000 MICROSECOND, judged_at
FROM ({CAME}) AS came
JOIN bench_sayings ON {ITS_SAYING}
"""  # noqa: S608  likewise

# One file in two hundred never became a verdict: its pixels were those before, or it was no readable image.
OTHER_FILES = f"""
INSERT INTO files (digest, path, path_digest, size, mtime_ns, outcome, reason, plot_id, run, seen_at, done_at)
SELECT UNHEX(MD5(CONCAT('other ', id))), CONCAT(path, '.old'), UNHEX(MD5(CONCAT(path, '.old'))), 21000,
    1000000000 * (%(epoch_s)s + since_s), IF(id MOD 3, 'unchanged', 'rejected'),
    IF(id MOD 3, 'equal to the image before', 'no image: the file ends too early'), plot_id, run,
    judged_at - INTERVAL 1 SECOND, judged_at
FROM ({CAME}) AS came WHERE seq MOD 199 = 0
"""  # noqa: S608  likewise

# Sent to the server before the rows have indices.
STRUCK = (
    """
    UPDATE verdicts JOIN bench_faults USING (id) SET verdicts.status = bench_faults.status,
        verdicts.severity = bench_faults.severity, verdicts.label = bench_faults.label,
        verdicts.confidence = bench_faults.confidence, verdicts.scores = bench_faults.scores,
        verdicts.confirmed = bench_faults.confirmed, verdicts.novelty = bench_faults.novelty,
        verdicts.reason = bench_faults.reason, verdicts.bad_in_a_row = bench_faults.bad_in_a_row
    """,
    "UPDATE images JOIN bench_faults USING (id) SET images.kept = 1",
)

LABELLED = (
    """
    UPDATE images JOIN bench_labelled USING (id) JOIN verdicts USING (id)
    JOIN labels ON labels.plot_id = images.plot_id AND labels.name = verdicts.label
    SET images.label_id = labels.id, images.kept = 1
    """,
    """
    INSERT INTO labellings (image_id, label_id, person, host, via, labelled_at)
    SELECT id, label_id, person, 'counting-1', 'page', UTC_TIMESTAMP(6) - INTERVAL ago_s SECOND
    FROM bench_labelled JOIN images USING (id) ORDER BY ago_s DESC
    """,
)
# What a model in shadow says of a few plots' images of the last day.
SHADOWED = """
INSERT INTO shadows (verdict_id, model_id, label, confidence, scores, confirmed, novelty)
SELECT id, %(second)s, label, confidence, scores, confirmed, novelty FROM verdicts
WHERE id > %(after)s + (%(dumps)s - LEAST(%(dumps)s, 24 * 3600000000 DIV %(dump_us)s)) * %(plots)s
    AND id <= %(after)s + %(dumps)s * %(plots)s AND id MOD %(plots)s < 4
"""

# What follows from the verdicts, once they have indices.
ENDED = """
UPDATE episodes
JOIN (SELECT plot_id, MIN(judged_at) AS judged_at FROM verdicts WHERE id > %(after)s AND id <= %(after)s + %(plots)s
    GROUP BY plot_id) AS good USING (plot_id)
SET ended_at = good.judged_at WHERE ended_at IS NULL
"""
EPISODES = """
INSERT INTO episodes (
    plot_id, detector_id, status, severity, label, confidence, reason, started_at, alarmed_at, last_at, ended_at,
    images, first_verdict_id, last_verdict_id, worst_verdict_id, first_run, last_run, acknowledged_at, acknowledged_by
)
SELECT worst.plot_id, worst.detector_id, told.status, told.severity, worst.label, worst.confidence, worst.reason,
    began.judged_at, alarm.judged_at, newest.judged_at, good.judged_at, images, first_id, last_id, worst_id, began.run,
    newest.run, IF(seen_by IS NULL, NULL, alarm.judged_at + INTERVAL seen_after_s SECOND), seen_by
FROM bench_episodes AS told
JOIN verdicts AS began ON began.id = first_id
JOIN verdicts AS newest ON newest.id = last_id
JOIN verdicts AS worst ON worst.id = worst_id
LEFT JOIN verdicts AS alarm ON alarm.id = alarm_id
LEFT JOIN verdicts AS good ON good.id = end_id
ORDER BY last_id
"""
FOLLOWS = (
    """
    INSERT INTO acknowledgements (episode_id, person, host, comment, acknowledged_at)
    SELECT id, acknowledged_by, 'counting-1', 'seen, the expert knows', acknowledged_at
    FROM episodes WHERE acknowledged_at IS NOT NULL AND id NOT IN (SELECT episode_id FROM acknowledgements)
    """,
    """
    INSERT INTO hours (hour, plot_id, status, images)
    SELECT hour, plot_id, status, counted FROM (
        SELECT DATE_FORMAT(judged_at, '%%Y-%%m-%%d %%H:00:00') AS hour, plot_id, status, COUNT(*) AS counted
        FROM verdicts FORCE INDEX (ix_verdicts_plot) WHERE judged_at >= %(since)s AND id > %(after)s GROUP BY 2, 1, 3
    ) AS fresh ON DUPLICATE KEY UPDATE images = images + counted
    """,
    """
    INSERT INTO runs (number, first_seen, last_seen)
    SELECT run, MIN(judged_at), MAX(judged_at) AS late FROM verdicts WHERE judged_at >= %(since)s GROUP BY run
    ON DUPLICATE KEY UPDATE last_seen = VALUES(last_seen)
    """,
    """
    REPLACE INTO standings (
        plot_id, verdict_id, status, severity, reason, label, confidence, taken_at, judged_at, run, bad_in_a_row
    )
    SELECT plot_id, id, status, severity, reason, label, confidence, taken_at, judged_at, run, bad_in_a_row
    FROM verdicts WHERE id > %(after)s + (%(dumps)s - 1) * %(plots)s AND id <= %(after)s + %(dumps)s * %(plots)s
    """,
    "REPLACE INTO tallies (outcome, files) SELECT outcome, COUNT(*) FROM files GROUP BY outcome",
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A stretch of dumps in which a plot was not well."""

    plot: int  # its place in PLOTS
    first: int  # dump
    images: int
    status: Status  # the worst of it
    lasts: bool = False


Line = tuple[object, ...]


def said(label: str, confidence: float, rng: random.Random) -> str:
    """The scores of an answer as the daemon writes them."""
    others = [name for name in MEANINGS if name != label]
    part = rng.random()
    scores = {label: confidence, others[0]: (1 - confidence) * part, others[1]: (1 - confidence) * (1 - part)}
    return json.dumps({name: scores[name] for name in MEANINGS}, separators=(",", ":"))


def sayings(rng: random.Random) -> Iterator[Line]:
    """Rows of bench_sayings: what the model says of good images, and of those taken without beam."""
    for n in range(SAYINGS):
        confidence = 1 - 0.4 * rng.random() ** 12
        reason = f"Good at {confidence:.2f}, beam 201 nA"
        yield n, "GOOD", "Good", confidence, said("Good", confidence, rng), True, rng.uniform(0.1, 0.8), reason
    for n in range(SAYINGS):
        confidence = 1 - 0.1 * rng.random() ** 4
        reason = f"NoData at {confidence:.2f}, beam off"
        line = ("NOBEAM", "NoData", confidence, said("NoData", confidence, rng), True, rng.uniform(0.1, 0.8), reason)
        yield n + WITHOUT_BEAM, *line


def dark(dump: int, dumps: int, dump_us: int) -> bool:
    """Whether there is no beam, as CAME has it."""
    return (dumps - dump) * dump_us // 3_600_000_000 % 24 == HOUR_WITHOUT_BEAM


def faults(rng: random.Random, dumps: int, dump_us: int, count: int, lasting: int) -> list[Fault]:
    """Stretches of trouble, none of which touches another of its plot or the hour without beam.

    Args:
        dumps: of all plots, in the whole time; one every ``dump_us`` µs.
        count: stretches, with the ``lasting`` ones among them.
    """
    taken: set[tuple[int, int]] = set()
    found: list[Fault] = []
    kinds = (Status.BAD, Status.SUSPECT, Status.NODATA, Status.UNFAMILIAR)
    while len(found) < count:
        last = len(found) < lasting
        status = kinds[len(found) % 4] if last else rng.choices(kinds, (55, 25, 12, 8))[0]
        images = min(dumps - 1, 1 + int(rng.expovariate(1 / 3 if status is Status.SUSPECT else 1 / 18)))
        if status in {Status.BAD, Status.NODATA}:
            images = max(2, images)
        plot = rng.randrange(len(PLOTS))
        first = dumps - images if last else rng.randrange(max(1, dumps - images))
        stretch = {(plot, dump) for dump in range(first - 1, first + images + 1)}
        if stretch & taken or any(dark(dump, dumps, dump_us) for _, dump in stretch):
            continue
        taken |= stretch
        found.append(Fault(plot, first, images, status, last))
    return found


def struck(fault: Fault, after: int, rng: random.Random) -> Iterator[Line]:
    """Rows of bench_faults: one for each image of a stretch."""
    label = {Status.NODATA: "NoData", Status.UNFAMILIAR: "Good"}.get(fault.status, "Bad")
    for n in range(fault.images):
        waits = n == 0 and fault.status in {Status.BAD, Status.NODATA}
        status = Status.SUSPECT if waits else fault.status
        confirmed = fault.status is not Status.SUSPECT
        confidence = rng.uniform(0.9, 0.999) if confirmed else rng.uniform(0.5, 0.9)
        novelty = rng.uniform(1.1, 3.0) if fault.status is Status.UNFAMILIAR else rng.uniform(0.2, 0.9)
        counted = n + 1 if label != "Good" else 0
        reason = f"{label} at {confidence:.2f}, {n + 1} in a row, beam 201 nA"
        yield (
            number(fault, n, after), status.name, status.severity.name, label, confidence,
            said(label, confidence, rng), confirmed, novelty, reason, counted,
        )  # fmt: skip


def episode(fault: Fault, after: int, rng: random.Random) -> Line:
    """Its row of bench_episodes."""
    alarms = fault.status in {Status.BAD, Status.NODATA}
    alarm = number(fault, 1, after) if alarms else None
    seen = (rng.randrange(30, 1800), f"shift-{rng.randrange(6)}") if alarms and rng.random() < 0.6 else (None, None)
    return (
        fault.status.name, fault.status.severity.name, fault.images, number(fault, 0, after), alarm,
        number(fault, fault.images - 1, after), alarm or number(fault, 0, after),
        None if fault.lasts else number(fault, fault.images, after), *seen,
    )  # fmt: skip


def number(fault: Fault, image: int, after: int) -> int:
    """The row of the verdict on an image of a stretch."""
    return after + (fault.first + image) * len(PLOTS) + fault.plot + 1


def labelled(rng: random.Random, found: Sequence[Fault], dumps: int, after: int, count: int) -> list[Line]:
    """Images that people labelled: number of the image, seconds before the end, by whom."""
    people = [f"shifter-{n}" for n in range(9)]
    everything = dumps * len(PLOTS)
    good = {after + 1 + rng.randrange(everything) for _ in range(count - count // 10)}
    bad = {number(fault, rng.randrange(fault.images), after) for fault in rng.choices(found, k=count // 10)}
    return [(image, rng.randrange(86400 * 10), rng.choice(people)) for image in sorted(good | bad)]
