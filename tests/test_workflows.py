"""The GitHub workflows: what they call is there, and they may do no more than they must."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from stack.matrix.cells import choose

_ROOT = Path(__file__).parents[1]
_WORKFLOWS = sorted((_ROOT / ".github" / "workflows").glob("*.yml"))


def _jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in _WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            yield f"{path.name}: {name}", job


def _commands() -> Iterator[tuple[str, str]]:
    """Yield each shell command, once for every combination of its job's matrix."""
    for name, job in _jobs():
        [(key, values)] = job.get("strategy", {}).get("matrix", {"": [""]}).items()
        for step in job["steps"]:
            for value in values:
                yield name, step.get("run", "").replace(f"${{{{ matrix.{key} }}}}", value)


def test_every_make_target_is_there() -> None:
    """A workflow calls no target that the Makefile does not have."""
    targets = set(re.findall(r"^([a-z0-9-]+):", (_ROOT / "Makefile").read_text(), re.MULTILINE))
    called = {
        (name, target)
        for name, command in _commands()
        for target in re.findall(r"^make ([a-z0-9-]+)", command, re.MULTILINE)
    }

    assert len(called) > 5
    assert {target for _, target in called} <= targets, called


def test_every_cell_of_the_matrix_is_there() -> None:
    """The cells that a workflow names are cells of `make test-matrix`."""
    named = [only for _, command in _commands() for only in re.findall(r"ONLY=([\w.-]+)", command)]

    assert len(named) > 10
    for only in named:
        assert choose(only)


def test_only_what_runs_no_code_of_ours_may_write() -> None:
    """A job that checks something out may only read; one that may write checks nothing out."""
    for path in _WORKFLOWS:
        assert yaml.safe_load(path.read_text())["permissions"] == {}
    writing = set()
    for name, job in _jobs():
        checkouts = [step for step in job["steps"] if _action(step) == "actions/checkout"]
        if job["permissions"] == {"contents": "read"}:
            for step in checkouts:
                assert step["with"] == {"persist-credentials": False}, name
        else:
            writing.add(name)
            assert not checkouts, name
    assert writing == {
        "docs.yml: deploy",
        "nightly.yml: report-newest-mlflow",
        *(f"release.yml: publish-{what}" for what in ("package", "image", "chart", "release")),
    }


def test_every_action_is_pinned_by_commit() -> None:
    """What others release under a tag tomorrow does not run here; the comment says what it is."""
    files = [*_WORKFLOWS, _ROOT / "action.yml"]
    lines = [line for file in files for line in file.read_text().splitlines() if "uses:" in line]
    assert len(lines) > 20
    for line in lines:
        assert re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line
    pins = {line.split("uses: ")[1] for line in lines}
    assert len({pin.partition("@")[0] for pin in pins}) == len(pins)


def test_nothing_is_published_that_was_not_checked() -> None:
    """Every job that publishes waits for the build and the image, and builds nothing itself."""
    jobs = yaml.safe_load((_ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]

    def before(job: str) -> set[str]:
        needed = set(jobs[job].get("needs", []))
        return needed.union(*map(before, needed))

    for job in jobs:
        if job.startswith("publish-"):
            assert before(job) >= {"build", "image"}, job


def _action(step: dict[str, Any]) -> str:
    name: str = step.get("uses", "").partition("@")[0]
    return name


def test_every_page_has_a_place_on_the_site() -> None:
    """Each page of docs/ is in the site's navigation, and what is in it is there."""
    navigation = (_ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    named = set(re.findall(r": ([\w./]+\.md)$", navigation, re.MULTILINE))
    pages = {str(page.relative_to(_ROOT)) for page in _ROOT.glob("docs/*.md")}
    assert pages - {"docs/README.md"} <= named
    assert all((_ROOT / page).is_file() for page in named)
