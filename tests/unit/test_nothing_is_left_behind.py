"""The house rule itself: a test that leaves something behind fails, one that tidies up does not."""

import os
import re
import subprocess
import sys
from pathlib import Path

RULE = Path(__file__).parents[1] / "conftest.py"  # by its path: other folders have modules of that name

TESTS = """
import asyncio, subprocess, threading, time

leave, kept = threading.Event(), []

def test_leaves_a_thread():
    threading.Thread(target=leave.wait).start()

def test_leaves_a_process():
    kept.append(subprocess.Popen(["sleep", "60"]))

def test_leaves_a_process_that_ended_unheard():
    kept.append(subprocess.Popen(["true"]))

async def test_leaves_a_task():
    kept.append(asyncio.create_task(asyncio.sleep(60)))

def test_lets_a_thread_end():
    threading.Thread(target=time.sleep, args=(0.05,)).start()

async def test_lets_a_task_end():
    kept.append(asyncio.create_task(asyncio.sleep(0.05)))

async def test_works_in_a_thread():
    await asyncio.to_thread(time.sleep, 0.01)

def test_tidies_up_for_all():
    leave.set()
    for process in kept:
        if isinstance(process, subprocess.Popen):
            process.kill()
            process.wait()
"""


def test_who_leaves_something_behind_is_named(tmp_path):
    rule = RULE.read_text(encoding="utf-8")
    (tmp_path / "conftest.py").write_text(rule.replace("GRACE_S = 5.0", "GRACE_S = 0.5"), encoding="utf-8")
    (tmp_path / "test_leaks.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n", encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-rE", "-p", "no:cacheprovider", "--color", "no", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTEST_ADDOPTS": "", "COLUMNS": "200"},
        timeout=60,
    )
    assert re.findall(r"^ERROR \S+::(\w+) - Failed: left (\w+) behind", ran.stdout, re.MULTILINE) == [
        ("test_leaves_a_thread", "threads"),
        ("test_leaves_a_process", "processes"),
        ("test_leaves_a_process_that_ended_unheard", "processes"),
        ("test_leaves_a_task", "tasks"),
    ], ran.stdout + ran.stderr
    assert "8 passed, 4 errors" in ran.stdout
