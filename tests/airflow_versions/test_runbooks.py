"""The commands of the runbooks, on this Airflow."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator

from flowgauge.assets import asset
from stack.airflow import AIRFLOW_PYTHON, airflow_version
from tests.documents import blocks

_PARSE = """
import json, sys
from airflow.cli.cli_parser import get_parser
for words in json.load(sys.stdin):
    get_parser().parse_args(words)
"""


def test_this_airflow_knows_the_commands_of_the_runbooks() -> None:
    """Airflow's own parser takes every `airflow` command that a runbook gives for its version."""
    major = airflow_version(AIRFLOW_PYTHON).partition(".")[0]
    found = list(_commands(f"# Airflow {major}"))
    parsed = subprocess.run(
        [AIRFLOW_PYTHON, "-c", _PARSE],
        input=json.dumps(found), capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip

    assert ["dags", "list-runs"] in [words[:2] for words in found]
    assert parsed.returncode == 0, parsed.stderr


def _commands(version: str) -> Iterator[list[str]]:
    for block in blocks(*sorted(asset("runbooks").glob("*.md")), language="bash"):
        # What stands below the name of a version is for that one alone.
        chosen = version
        for line in block.text.splitlines():
            if line.startswith("#"):
                chosen = line if line.startswith("# Airflow ") else version
            elif line.startswith("airflow ") and chosen == version:
                yield shlex.split(re.sub(r"\$\(.*?\)|\$[A-Z_]+", "2026-01-01", line))[1:]
