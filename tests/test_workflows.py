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
    """Jobs may read the repository; the one that opens an issue checks nothing out."""
    for path in _WORKFLOWS:
        assert yaml.safe_load(path.read_text())["permissions"] == {}
    for name, job in _jobs():
        uses = {step["uses"].split("@")[0] for step in job["steps"] if "uses" in step}
        if job["permissions"] == {"issues": "write"}:
            assert not uses, name
        else:
            assert job["permissions"] == {"contents": "read"}, name
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": False}, name
