"""Where the rules, dashboards and manifests lie: in the wheel, or in a checkout."""

from pathlib import Path

__all__ = ["asset"]

_PACKAGE = Path(__file__).parent
_CHECKOUT = _PACKAGE.parents[1]
_IN_CHECKOUT = {
    "dashboards": "dashboards/json",
    "compatibility.json": "docs/compatibility.json",
}


def asset(name: str) -> Path:
    """Return the folder alerts, rules_tests, runbooks, dashboards or deploy.

    `compatibility.json` is a file.
    """
    packaged = _PACKAGE / "_assets" / name
    return packaged if packaged.exists() else _CHECKOUT / _IN_CHECKOUT.get(name, name)
