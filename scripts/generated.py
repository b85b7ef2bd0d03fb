"""Files that a script generates, all of them in one folder or another."""

import argparse
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

__all__ = ["CHECKOUT", "bring_up_to_date"]

CHECKOUT = Path(__file__).parent.parent


def bring_up_to_date(
    files: Mapping[Path, str], present: Collection[Path], description: str
) -> None:
    """Write *files*, and remove of those *present* the others; with --check, fail if it is due."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail if outdated")
    check = parser.parse_args().check
    stale = {path for path, text in files.items() if not path.exists() or path.read_text() != text}
    stale |= set(present) - files.keys()
    if check and stale:
        names = ", ".join(str(path.relative_to(CHECKOUT)) for path in sorted(stale))
        sys.exit(f"not current: {names}; run {sys.argv[0]}")
    for path in stale:
        if path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path])
        else:
            path.unlink()
