"""A process that decodes what means harm, within limits, and says what came of it and what it took.

``limited_decoder.py NAME…`` prints one JSON object a line: name, outcome, what it said, the growth of its largest
resident memory in bytes, and CPU seconds. The kernel ends it when it computes for longer than a minute.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from hostile_images import ATTACKS

from hydrad.errors import ImageError
from hydrad.images import picture_of

CPU_S = 60


def peak_bytes() -> int:
    """The largest resident memory since it was last forgotten."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def forget_peak() -> None:
    """The largest so far is that of now."""
    Path("/proc/self/clear_refs").write_text("5")


def main(names: list[str]) -> None:
    picture_of(ATTACKS["png of milliards of frames"]())  # now the libraries are loaded
    for name in names:
        data = ATTACKS[name]()
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + CPU_S
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        forget_peak()
        before = peak_bytes()
        try:
            picture = picture_of(data)
            outcome, said = "judged", f"{picture.width} × {picture.height}"
            del picture
        except ImageError as why:
            outcome, said = type(why).__name__, str(why)
        spent = resource.getrusage(resource.RUSAGE_SELF)
        cpu_s = spent.ru_utime + spent.ru_stime - used.ru_utime - used.ru_stime
        told = {"name": name, "outcome": outcome, "said": said, "grew": peak_bytes() - before, "cpu_s": round(cpu_s, 2)}
        print(json.dumps(told), flush=True)  # noqa: T201  this is its answer


if __name__ == "__main__":
    main(sys.argv[1:])
