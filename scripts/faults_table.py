"""Puts what the fault suite found into docs/reference/faults.md: the cases that ran; the others keep their lines.

Usage: ``faults_table.py``, after ``make faults`` has left its findings below artifacts/faults/.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

HOME = Path(__file__).parents[1]
PAGE = HOME / "docs" / "reference" / "faults.md"
FOUND = HOME / "artifacts" / "faults"
BEGIN, END = "<!-- begin: scripts/faults_table.py -->\n", "<!-- end -->\n"
HEAD = (
    "| case | tries | files | lost | double | wrong | longest PV gap, s | peak memory, MiB | took, s | on |\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|---|\n"
)


def main() -> None:
    """Put each case's line where its place is; new cases come last, in the order of their names."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    table, _, after = rest.partition(END)
    lines = {line.split("|")[1].strip(): line for line in table.splitlines()[2:] if re.match(r"\| ", line)}
    for file in sorted(FOUND.glob("*.json")):
        found = json.loads(file.read_text(encoding="utf-8"))
        lines[found["case"]] = "| {} |".format(
            " | ".join(f"{value:,}" if isinstance(value, int) else str(value) for value in found.values())
        )
    page = f"{before}{BEGIN}{HEAD}" + "".join(f"{line}\n" for line in lines.values()) + f"{END}{after}"
    PAGE.write_text(page, encoding="utf-8")
    sys.stdout.write(HEAD + "".join(f"{line}\n" for line in lines.values()))


if __name__ == "__main__":
    main()
