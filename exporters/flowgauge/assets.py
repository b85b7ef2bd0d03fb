"""Where the rules, dashboards and manifests lie: in the wheel, or in a checkout."""

from pathlib import Path

__all__ = ["asset"]

_PACKAGE = Path(__file__).parent
_CHECKOUT = _PACKAGE.parents[1]
_IN_CHECKOUT = {"dashboards": "dashboards/json"}


def asset(folder: str) -> Path:
    """Return *folder*: alerts, rules_tests, runbooks, dashboards or deploy."""
    packaged = _PACKAGE / "_assets" / folder
    return packaged if packaged.is_dir() else _CHECKOUT / _IN_CHECKOUT.get(folder, folder)
