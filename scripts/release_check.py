"""Build into dist/ what a release publishes, and check it: all that needs no account.

python scripts/release_check.py            checks what lies here
python scripts/release_check.py v0.2.0     checks what the tag v0.2.0 would publish

It runs in `.venv`; twine, zizmor, hadolint and cyclonedx-py are those of `.run/release`.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

_CHECKOUT = Path(__file__).parent.parent
_DIST = _CHECKOUT / "dist"
_TOOLS = _CHECKOUT / ".run" / "release" / "bin"
_HELM = _CHECKOUT / ".venv" / "bin" / "helm"
_GENERATED = (
    ["-m", "dashboards", "--check"],
    *(
        [f"scripts/{name}.py", "--check"]
        for name in (
            "alerts_table",
            "metrics_table",
            "compatibility_table",
            "settings_table",
            "licences_table",
            "helm_chart",
            "mixin",
        )
    ),
)
# Where the version stands, beside pyproject.toml: our images and charts in what people copy.
_NAMED = re.compile(
    r"flowgauge(?:-mlflow|-airflow)?:(\d[\w.]*)|^(?:appVersion|version|  tag|    tag): (\d[\w.]*)$",
    re.MULTILINE,
)
_NAMING = ("deploy/**/*.yaml", "deploy/Dockerfile", "docs/deploy.md", "environments/*.yaml")


def main() -> None:
    """Build and check; end with a sentence at the first thing that is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tag", nargs="?", help="what the release will be tagged, v0.2.0")
    tag = parser.parse_args().tag
    version = tomllib.loads((_CHECKOUT / "pyproject.toml").read_text())["project"]["version"]
    if tag not in {None, f"v{version}"}:
        sys.exit(f"the tag is {tag}, and pyproject.toml has the version {version}")
    for complaint in wrong_versions(version):
        sys.exit(complaint)
    notes = changelog(version if tag else "Unreleased")
    for command in _GENERATED:
        _run(sys.executable, *command)
    shutil.rmtree(_DIST, ignore_errors=True)
    _DIST.mkdir()
    (_DIST / "notes.md").write_text(notes)
    _packages(version)
    _chart()
    _run(_TOOLS / "hadolint", "deploy/Dockerfile")
    _run(_TOOLS / "zizmor", "--offline", "--quiet", ".github", "action.yml")
    sys.stdout.write(f"dist/ holds what {tag or version} would publish:\n")
    sys.stdout.writelines(f"  {path.name}\n" for path in sorted(_DIST.iterdir()))


def wrong_versions(version: str) -> Iterator[str]:
    """Yield a sentence for each place that names another version than pyproject.toml."""
    for path in sorted(path for pattern in _NAMING for path in _CHECKOUT.glob(pattern)):
        for match in _NAMED.finditer(path.read_text()):
            named = (match[1] or match[2]).rstrip(".")
            if named != version:
                where = path.relative_to(_CHECKOUT)
                yield f"{where} names {match[0].strip()}, and pyproject.toml the version {version}"


def changelog(section: str) -> str:
    """Return what CHANGELOG.md says of *section*; end with a sentence where it says nothing."""
    text = (_CHECKOUT / "CHANGELOG.md").read_text()
    begun = re.search(
        rf"^## \[{re.escape(section)}\].*\n(?P<said>(?:(?!## ).*\n?)*)", text, re.MULTILINE
    )
    if begun is None or not begun["said"].strip():
        sys.exit(f"CHANGELOG.md says nothing of {section}: write its section")
    return begun["said"].strip() + "\n"


def _packages(version: str) -> None:
    # The wheel is built from the sdist, which so is known to hold all that it takes.
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", _DIST, ".")
    packages = [next(_DIST.glob("*.whl")), next(_DIST.glob("*.tar.gz"))]
    _run(_TOOLS / "twine", "check", "--strict", *packages)
    for package in packages:
        with tempfile.TemporaryDirectory() as scratch:
            _installed(package, version, Path(scratch))


def _installed(package: Path, version: str, scratch: Path) -> None:
    """Install *package* and see it work, away from the checkout; list what came with it."""
    venv.create(scratch / "venv", with_pip=True)
    binaries = scratch / "venv" / "bin"
    pip = [binaries / "pip", "--quiet", "--disable-pip-version-check"]
    _run(*pip, "install", "--constraint", _CHECKOUT / "constraints.txt", f"{package}[postgres]")
    _run(*pip, "check")
    said = _run(binaries / "flowgauge", "--version", where=scratch)
    if said.split()[-1] != version:
        sys.exit(f"{package.name}, installed, calls itself {said.strip()!r}")
    (scratch / "environments").mkdir()
    (scratch / "environments" / "prod.yaml").write_text("domains: {mlflow: h}\nkubernetes: {}\n")
    _run(binaries / "flowgauge", "render", "--env", "prod", where=scratch)
    if package.suffix == ".whl":
        # pip and the like are not what is released.
        _run(*pip, "uninstall", "--yes", "pip", "setuptools")
        bill = _DIST / "flowgauge-sbom.cdx.json"
        options = ["--output-reproducible", "--pyproject", _CHECKOUT / "pyproject.toml"]
        python = binaries / "python"
        _run(_TOOLS / "cyclonedx-py", "environment", *options, "--output-file", bill, python)


def _chart() -> None:
    chart = _CHECKOUT / "deploy" / "helm" / "flowgauge"
    helm = _HELM if _HELM.exists() else "helm"
    _run(helm, "lint", "--strict", "--quiet", chart, "--set", "mlflow.uri=http://mlflow:5000")
    _run(helm, "package", chart, "--destination", _DIST)


def _run(*command: str | Path, where: Path = _CHECKOUT) -> str:
    done = subprocess.run(
        command, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


if __name__ == "__main__":
    main()
