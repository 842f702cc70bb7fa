"""Old rows go: whether anything leans on a verdict is answered from an index.

A server made such indices by itself for its foreign keys; these take their places.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go on to this revision."""
    op.create_index("ix_files_verdict_id", "files", ["verdict_id"])
    op.create_index("ix_standings_verdict_id", "standings", ["verdict_id"])
    for which in ("first", "last", "worst"):
        op.create_index(f"ix_episodes_{which}_verdict_id", "episodes", [f"{which}_verdict_id"])
