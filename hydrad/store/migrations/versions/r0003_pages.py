"""Pages: episodes of faults and who has seen them, figures by the hour, news, people and what they may do.

Verdicts that are there are counted into their hours. Episodes begin with the verdicts that follow: a stretch that lasts
now has one from its next verdict on.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SERVERS = ("mysql", "mariadb")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORDS = sa.Text().with_variant(mysql.MEDIUMTEXT(), *SERVERS)
WORD = sa.String(12).with_variant(mysql.VARCHAR(12, charset="ascii", collation="ascii_bin"), *SERVERS)
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *SERVERS)
DIGEST = sa.LargeBinary(16).with_variant(mysql.BINARY(16), *SERVERS)
ON_SERVERS: dict[str, Any] = {
    f"{server}_{word}": value
    for server in SERVERS
    for word, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


def upgrade() -> None:
    """Go on to this revision."""
    op.add_column("heartbeats", sa.Column("details", WORDS))
    _scores()
    _next_to_label()
    _log()
    _figures()
    _people()


def _id() -> sa.Column[int]:
    return sa.Column("id", ROW_ID, primary_key=True, autoincrement=True)


def _table(name: str, *parts: Any) -> None:
    op.create_table(name, *parts, **ON_SERVERS)


def _scores() -> None:
    start = sa.Column("label_start", sa.String(40), sa.Computed("substr(label, 1, 40)", persisted=False))
    op.add_column("verdicts", start)
    op.create_index(
        "ix_verdicts_scores",
        "verdicts",
        [
            *("plot_id", "cause", "judged_at", "superseded", "status", "confirmed", "confidence", "novelty"),
            *("beam_state", "beam_current", "run", "image_id", "label_start"),
        ],
    )


def _next_to_label() -> None:
    op.drop_index("ix_images_plot_id_label_id_taken_at", "images")
    op.create_index("ix_images_plot_id_label_id_kept_taken_at", "images", ["plot_id", "label_id", "kept", "taken_at"])


def _log() -> None:
    _table(
        "episodes",
        _id(),
        sa.Column("plot_id", ROW_ID, nullable=False),
        sa.Column("detector_id", ROW_ID, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("severity", WORD, nullable=False),
        sa.Column("label", WORDS),
        sa.Column("confidence", sa.Double()),
        sa.Column("reason", WORDS, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("alarmed_at", MOMENT),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("first_verdict_id", ROW_ID, nullable=False),
        sa.Column("last_verdict_id", ROW_ID, nullable=False),
        sa.Column("worst_verdict_id", ROW_ID, nullable=False),
        sa.Column("first_run", sa.BigInteger()),
        sa.Column("last_run", sa.BigInteger()),
        sa.Column("acknowledged_at", MOMENT),
        sa.Column("acknowledged_by", WORDS),
        sa.PrimaryKeyConstraint("id", name="pk_episodes"),
        sa.ForeignKeyConstraint(["plot_id"], ["plots.id"], name="fk_episodes_plot_id"),
        sa.ForeignKeyConstraint(["detector_id"], ["detectors.id"], name="fk_episodes_detector_id"),
        sa.ForeignKeyConstraint(["first_verdict_id"], ["verdicts.id"], name="fk_episodes_first_verdict_id"),
        sa.ForeignKeyConstraint(["last_verdict_id"], ["verdicts.id"], name="fk_episodes_last_verdict_id"),
        sa.ForeignKeyConstraint(["worst_verdict_id"], ["verdicts.id"], name="fk_episodes_worst_verdict_id"),
    )
    op.create_index("ix_episodes_alarmed_at_plot_id", "episodes", ["alarmed_at", "plot_id"])
    op.create_index("ix_episodes_first_run_last_run", "episodes", ["first_run", "last_run"])
    op.create_index("ix_episodes_ended_at_started_at", "episodes", ["ended_at", "started_at"])
    op.create_index("ix_episodes_plot_id_ended_at", "episodes", ["plot_id", "ended_at"])
    op.create_index("ix_episodes_plot_id_last_at", "episodes", ["plot_id", "last_at"])
    op.create_index("ix_episodes_status_ended_at_started_at", "episodes", ["status", "ended_at", "started_at"])
    _table(
        "acknowledgements",
        _id(),
        sa.Column("episode_id", ROW_ID, nullable=False),
        sa.Column("person", WORDS, nullable=False),
        sa.Column("host", WORDS, nullable=False),
        sa.Column("comment", WORDS, nullable=False),
        sa.Column("acknowledged_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_acknowledgements"),
        sa.ForeignKeyConstraint(["episode_id"], ["episodes.id"], name="fk_acknowledgements_episode_id"),
    )
    op.create_index("ix_acknowledgements_acknowledged_at", "acknowledgements", ["acknowledged_at"])
    op.create_index("ix_acknowledgements_episode_id", "acknowledgements", ["episode_id"])
    _table(
        "logbook_entries",
        _id(),
        sa.Column("episode_id", ROW_ID, nullable=False),
        sa.Column("verdict_id", ROW_ID, nullable=False),
        sa.Column("title", WORDS, nullable=False),
        sa.Column("person", WORDS, nullable=False),
        sa.Column("host", WORDS, nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("reference", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_logbook_entries"),
        sa.ForeignKeyConstraint(["episode_id"], ["episodes.id"], name="fk_logbook_entries_episode_id"),
        sa.ForeignKeyConstraint(["verdict_id"], ["verdicts.id"], name="fk_logbook_entries_verdict_id"),
    )
    op.create_index("ix_logbook_entries_episode_id", "logbook_entries", ["episode_id"])
    op.create_index("ix_logbook_entries_verdict_id", "logbook_entries", ["verdict_id"])


def _figures() -> None:
    _table(
        "hours",
        sa.Column("hour", MOMENT, nullable=False),
        sa.Column("plot_id", ROW_ID, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "plot_id", "status", name="pk_hours"),
        sa.ForeignKeyConstraint(["plot_id"], ["plots.id"], name="fk_hours_plot_id"),
    )
    op.create_index("ix_hours_plot_id_hour", "hours", ["plot_id", "hour"])
    _count_hours()
    _table(
        "news",
        _id(),
        sa.Column("text", WORDS, nullable=False),
        sa.Column("person", WORDS, nullable=False),
        sa.Column("host", WORDS, nullable=False),
        sa.Column("said_at", MOMENT, nullable=False),
        sa.Column("until", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_news"),
    )


def _count_hours() -> None:
    """Count the images of the verdicts that are there."""
    judged_at, cause = sa.column("judged_at", sa.String()), sa.column("cause", sa.String())
    plot_id, status = sa.column("plot_id", sa.BigInteger()), sa.column("status", sa.String())
    # Every data base of ours has times as text that begins with day and hour.
    begun = sa.func.substr(sa.cast(judged_at, sa.String(26)), 1, 13) + ":00:00.000000"
    counted = (
        sa.select(begun, plot_id, status, sa.func.count())
        .select_from(sa.table("verdicts"))
        .where(cause == "image")
        .group_by(begun, plot_id, status)
    )
    columns = ["hour", "plot_id", "status", "images"]
    hours = sa.table("hours", *map(sa.column, columns))
    op.execute(sa.insert(hours).from_select(columns, counted))


def _people() -> None:
    _table(
        "people",
        _id(),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("role", WORD, nullable=False),
        sa.Column("password", WORDS),
        sa.Column("email", WORDS),
        sa.Column("digest_wanted", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_people"),
        sa.UniqueConstraint("digest", name="uq_people_digest"),
    )
    _table(
        "people_changes",
        _id(),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("what", WORDS, nullable=False),
        sa.Column("person", WORDS, nullable=False),
        sa.Column("host", WORDS, nullable=False),
        sa.Column("via", WORDS, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_people_changes"),
    )
    op.create_index("ix_people_changes_changed_at", "people_changes", ["changed_at"])
    _table(
        "sessions",
        _id(),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("person_id", ROW_ID, nullable=False),
        sa.Column("host", WORDS, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("digest", name="uq_sessions_digest"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_sessions_person_id"),
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_index("ix_sessions_person_id", "sessions", ["person_id"])
    _table(
        "tokens",
        _id(),
        sa.Column("digest", DIGEST, nullable=False),
        sa.Column("person_id", ROW_ID, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("role", WORD, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("used_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("digest", name="uq_tokens_digest"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_tokens_person_id"),
    )
    op.create_index("ix_tokens_person_id", "tokens", ["person_id"])
    _table(
        "digests",
        sa.Column("person_id", ROW_ID, nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("claimed_at", MOMENT, nullable=False),
        sa.Column("sent_at", MOMENT),
        sa.PrimaryKeyConstraint("person_id", "day", name="pk_digests"),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_digests_person_id"),
    )
