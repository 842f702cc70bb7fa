"""The table of all PVs is as they are served."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_of_pvs_is_fresh():
    answer = subprocess.run(
        [sys.executable, ROOT / "scripts" / "pv_table.py"], capture_output=True, check=False, timeout=60
    )
    assert answer.returncode == 0, answer.stderr.decode()
    page = (ROOT / "docs" / "reference" / "pvs.md").read_bytes()
    assert answer.stdout == page, "python scripts/pv_table.py --write"
    assert page.count(b"\n| `P") > 40
