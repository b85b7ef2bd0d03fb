"""What is said at the end of tests that plant secrets: where, how often it was looked, what leaked.

`make secrets` runs all of them.
"""

from collections import Counter
from collections.abc import Callable

import pytest

_SEARCHED = "searched"


@pytest.fixture
def shown(
    run_here: Callable[..., tuple[int, str]], record_property: Callable[[str, object], None]
) -> Callable[..., str]:
    """Runs a command in this process, and returns all that it shows and logs."""

    def run(*arguments: str, **environ: str) -> str:
        record_property(_SEARCHED, " ".join(arguments))
        return run_here(*arguments, **environ)[1]

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a row for each test with `planted` in its file's name: a case is a secret in a place.

    A case in which no command ran was looked through in one piece.
    """
    cases, looks, leaks = Counter[str](), Counter[str](), Counter[str]()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            file, _, test = report.nodeid.partition("::")
            if "planted" in file:
                name = test.partition("[")[0].removeprefix("test_").replace("_", " ")
                cases[name] += 1
                looks[name] += max(sum(each == _SEARCHED for each, _ in report.user_properties), 1)
                leaks[name] += outcome == "failed"
    if cases:
        terminalreporter.section("planted secrets")
        for name in cases:
            row = f"| {name} | {cases[name]:,} | {looks[name]:,} | {leaks[name]:,} |"
            terminalreporter.write_line(row)
        everything = (cases.total(), looks.total(), leaks.total())
        terminalreporter.write_line("| all | " + " | ".join(f"{n:,}" for n in everything) + " |")
