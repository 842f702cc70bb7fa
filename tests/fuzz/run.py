"""Fuzzes one target after the other, guided by what code it reaches: ``run.py [--seconds S] [TARGET…]``.

What was reached is kept below ``artifacts/fuzz`` and the next run goes on from there; what fails lies there too, as
``TARGET-crash-…``, and is printed with its trace.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

KEPT = Path(__file__).parents[2] / "artifacts" / "fuzz"
FLAGS = ("-timeout=20", "-rss_limit_mb=2048", "-max_len=65536", "-print_final_stats=1")


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one target, in this process, which ends with it."""
    import atheris  # noqa: PLC0415  the order matters: what is imported within is watched

    with atheris.instrument_imports(include=["hydrad", "PIL"]):
        from targets import TARGETS, mended, seeds  # noqa: PLC0415

    def turn(data: bytes, most: int, seed: int) -> bytes:
        turned = atheris.Mutate(data, most)
        return mended(turned)[:most] if seed % 4 else turned

    corpus = KEPT / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    flags = [*FLAGS, f"-max_total_time={seconds}", f"-artifact_prefix={KEPT}/{name}-"]
    special = {"custom_mutator": turn} if name == "decoder" else {}
    atheris.Setup([name, *flags, str(corpus)], TARGETS[name], **special)
    atheris.Fuzz()


def main() -> int:
    """Each target in a process of its own; 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=120, help="for each target")
    parser.add_argument("targets", nargs="*")
    asked = parser.parse_args()
    if len(asked.targets) == 1:
        fuzz(asked.targets[0], asked.seconds)
    from targets import TARGETS  # noqa: PLC0415  not watched: here nothing is fuzzed

    failed = []
    for name in asked.targets or TARGETS:
        sys.stdout.write(f"== {name}\n")
        sys.stdout.flush()
        if subprocess.run([sys.executable, __file__, "--seconds", str(asked.seconds), name], check=False).returncode:
            failed.append(name)
    if failed:
        sys.stdout.write(f"failed: {', '.join(failed)}; see {KEPT}\n")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
