"""Show that flowgauge, installed with Airflow's constraints, changes no package of Airflow's.

python scripts/beside_airflow.py           in .run/beside-airflow, for each Airflow below

Airflow's constraints files hold the highest versions of the day they are made, at a release. They
are on GitHub alone, so the same is resolved here: all that Airflow takes, as it was on that day.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

_CHECKOUT = Path(__file__).parent.parent
_FOLDER = _CHECKOUT / ".run" / "beside-airflow"
_BIN = Path(sys.executable).parent
# Version, and a day when it was the newest of its line.
_AIRFLOWS = (("3.3.2", "2026-10-01"), ("2.11.2", "2026-03-15"))
# What the official image has, as far as it brings packages that flowgauge may want, too.
_EXTRAS = "celery,cncf-kubernetes,http,postgres,redis,statsd"


def main() -> None:
    """Ask pip for each Airflow; end with a sentence where it would change a package."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    _run(_BIN / "uv", "build", "--quiet", "--wheel", "--out-dir", _FOLDER, ".")
    [wheel] = _FOLDER.glob("*.whl")
    for version, day in _AIRFLOWS:
        folder = _FOLDER / version
        pinned = _install_airflow(version, day, folder)
        flowgauge = f"{wheel}[airflow,postgres,redis]"
        _tell(f"Airflow {version}, with its constraints", folder, "--constraint", pinned, flowgauge)
        if changed := _tell(f"Airflow {version}, without constraints", folder, flowgauge):
            # What is newest today may want something newer than what was newest then.
            sys.stdout.write(f"  which changes {', '.join(changed)}\n")


def _install_airflow(version: str, day: str, folder: Path) -> Path:
    """Install what Airflow's constraints pin; return the file of these pins."""
    uv = _BIN / "uv"
    _run(uv, "venv", "--quiet", "--clear", "--seed", "--python", sys.executable, folder)
    pinned = folder / "constraints.txt"
    compiling = [
        "--quiet",
        "--exclude-newer",
        day,
        "--python",
        folder,
        "--output-file",
        pinned,
        "-",
    ]
    _run(uv, "pip", "compile", *compiling, stdin=f"apache-airflow[{_EXTRAS}]=={version}\n")
    _run(uv, "pip", "install", "--quiet", "--python", folder, "--requirement", pinned)
    return pinned


def _tell(how: str, folder: Path, *arguments: str | Path) -> list[str]:
    """Say what `pip install` with *arguments* brings; return what it would change."""
    pip = folder / "bin" / "pip"
    there = {_name(each["name"]) for each in json.loads(_run(pip, "list", "--format", "json"))}
    report = _run(pip, "install", "--quiet", "--dry-run", "--report", "-", *arguments)
    coming = {
        _name(each["metadata"]["name"]): each["metadata"]["version"]
        for each in json.loads(report)["install"]
    }
    changed = sorted(there & coming.keys())
    if changed and "--constraint" in arguments:
        sys.exit(f"{how}: flowgauge would change {', '.join(changed)}")
    new = ", ".join(f"{name} {coming[name]}" for name in sorted(coming.keys() - there))
    sys.stdout.write(f"{how}: of its {len(there)} packages {len(changed)} change; new: {new}\n")
    return [f"{name} to {coming[name]}" for name in changed]


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _run(*command: str | Path, stdin: str = "") -> str:
    done = subprocess.run(
        command, cwd=_CHECKOUT, input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
