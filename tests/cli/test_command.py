"""The `flowgauge` command itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from stack.process import python_tool


def _run(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env or None)


def test_a_module_is_the_command_too() -> None:
    """Where scripts are not on PATH, `python -m flowgauge` does the same."""
    module = _run(sys.executable, "-m", "flowgauge", "--version")
    assert module.stdout == _run(python_tool("flowgauge"), "--version").stdout


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [(["exproter"], "'exporter'"), (["check", "--outptu", "json"], "--output")],
)
def test_a_slip_is_told_what_was_meant(arguments: list[str], meant: str) -> None:
    """A command or an option that is nearly one is wrong usage that names the one."""
    done = _run(python_tool("flowgauge"), *arguments)
    assert done.returncode == 2
    assert "Did you mean" in done.stderr
    assert meant in done.stderr


@pytest.mark.parametrize("options", [[], ["--debug"]])
def test_a_defect_is_one_sentence(options: list[str]) -> None:
    """What nobody expected says so, and where to report it; a traceback comes on request."""
    program = (
        "import flowgauge.assets as assets, sys\n"
        "from flowgauge.cli import main\n"
        "import flowgauge.cli.environment as broken\n"
        "def defect(*_, **__): raise KeyError('https://u:hunter2@h')\n"
        "broken.environment.invoke = defect\n"
        f"sys.argv = ['flowgauge', *{options}, 'environment', 'schema']\n"
        "main()"
    )
    done = _run(sys.executable, "-c", program)
    assert done.returncode == 1
    assert ("Traceback" in done.stderr) == bool(options)
    if not options:
        assert done.stderr.startswith("flowgauge: an error that nobody expected, KeyError: ")
        assert len(done.stderr.splitlines()) == 1
        assert "hunter2" not in done.stderr


def test_bash_completes_commands_and_options(folder: Path) -> None:
    """What `flowgauge completion bash` prints is what bash asks when somebody presses TAB."""
    script = folder / "completion.bash"
    script.write_text(_run(python_tool("flowgauge"), "completion", "bash").stdout)
    asked = (
        f"source {script}; COMP_WORDS=(flowgauge mut); COMP_CWORD=1; "
        "_flowgauge_completion flowgauge mut; echo ${COMPREPLY[@]}"
    )
    path = f"{Path(python_tool('flowgauge')).parent}:/usr/bin:/bin"
    assert _run("bash", "-c", asked, PATH=path).stdout.strip() == "mutate-rules"
