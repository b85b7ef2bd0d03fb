"""The reference of alerts."""

import subprocess
import sys
from pathlib import Path

_CHECKOUT = Path(__file__).parents[2]


def test_the_reference_is_current() -> None:
    """docs/alerts.md is what the rule files give."""
    check = [sys.executable, "scripts/alerts_table.py", "--check"]
    done = subprocess.run(check, cwd=_CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
