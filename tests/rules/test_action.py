"""The GitHub action: its steps do on this machine what they do on GitHub's."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from stack.process import python_tool
from tests.rules.command import WEAK_TESTS, Project

_ROOT = Path(__file__).parents[2]
_ACTION: dict[str, Any] = yaml.safe_load((_ROOT / "action.yml").read_text())
_STEPS = {step.get("name"): step for step in _ACTION["runs"]["steps"]}


def test_a_step_checks_the_rules(folder: Path) -> None:
    """A fault is an annotation and fails the step; all patterns are looked at, with the options."""
    Project.make(folder, alert={"labels": {"now": "{{ $value }}"}})
    (folder / "more.yaml").write_text(
        "groups: [{name: more, rules: [{alert: Alone, expr: up == 0}]}]"
    )
    inputs = {"rules": "alerts/*.yaml more.yaml", "tests": "rules_tests/*_test.yaml"}
    faulty = _run("Check the rules", folder, inputs)
    skipped = _run(
        "Check the rules", folder, {**inputs, "check-options": "--skip value --skip test"}
    )

    assert faulty.returncode == 1
    assert re.search(
        r"^::error file=alerts/small.yaml,line=\d+,title=TooMany \(value\)::the label now holds",
        faulty.stdout,
        re.MULTILINE,
    )
    assert "title=Alone (untested)" in skipped.stdout
    assert "(value)" not in skipped.stdout


def test_a_step_mutates_the_rules(folder: Path) -> None:
    """Survivors are annotations and fail the step, unless the threshold lets them pass."""
    Project.make(folder, tests=WEAK_TESTS)
    inputs = {"rules": "alerts/*.yaml", "tests": "rules_tests/*_test.yaml"}
    strict = _run("Mutate the rules", folder, inputs)
    lenient = _run("Mutate the rules", folder, {**inputs, "threshold": "10"})

    assert strict.returncode == 1
    assert "::error file=alerts/small.yaml" in strict.stdout
    assert lenient.returncode == 0
    assert "::warning file=alerts/small.yaml" in lenient.stdout
    assert (folder / "flowgauge" / "mutants.xml").read_text().startswith("<?xml")
    assert (folder / "output").read_text().endswith(f"junit={folder}/flowgauge/mutants.xml\n")


def test_the_rest_of_the_job_keeps_its_own_python() -> None:
    """Nothing is put on PATH, where it would hide the python and pip of whoever uses the action."""
    steps = _ACTION["runs"]["steps"]
    (python,) = [step for step in steps if "setup-python" in step.get("uses", "")]

    assert python["with"]["update-environment"] is False
    assert "GITHUB_PATH" not in yaml.safe_dump(_ACTION)


def test_no_input_is_pasted_into_a_script() -> None:
    """What a pull request may choose reaches the scripts as variables, and cannot be code."""
    for step in _ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


def test_the_documented_workflow_uses_inputs_that_there_are() -> None:
    """Every input of the example exists, and every input is in the documentation."""
    page = (_ROOT / "docs" / "rules.md").read_text()
    (example,) = re.findall(r"```yaml\n(name: Rules.+?)```", page, re.DOTALL)
    (step,) = [
        one
        for one in yaml.safe_load(example)["jobs"]["rules"]["steps"]
        if one["uses"].startswith("flowgauge/flowgauge@")
    ]

    assert set(step["with"]) <= set(_ACTION["inputs"])
    assert all(f"`{name}`" in page for name in _ACTION["inputs"])


def _found(program: str) -> str:
    path = shutil.which(program)
    assert path is not None
    return path


def _run(name: str, folder: Path, inputs: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the script of the step *name* in *folder* as GitHub would, given *inputs*."""
    step = _STEPS[name]
    tools = folder / "flowgauge" / "bin"
    if not tools.exists():
        tools.mkdir(parents=True)
        (tools / "flowgauge").symlink_to(python_tool("flowgauge"))
        (tools / "promtool").symlink_to(_found("promtool"))
    given = {key: one.get("default", "") for key, one in _ACTION["inputs"].items()} | dict(inputs)
    variables = {
        key: re.sub(
            r"\$\{\{ (\S+) \}\}",
            lambda found: (
                str(folder)
                if found[1] == "runner.temp"
                else given[found[1].removeprefix("inputs.")]
            ),
            text,
        )
        for key, text in step["env"].items()
    }
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env={
            **os.environ,
            **variables,
            "GITHUB_OUTPUT": str(folder / "output"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
