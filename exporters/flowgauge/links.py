"""The addresses that alerts and dashboards link to."""

from dataclasses import dataclass

__all__ = ["AS_WRITTEN", "Links", "relink"]


@dataclass(frozen=True)
class Links:
    """What the links begin with, each without a slash at its end."""

    dashboards: str
    runbooks: str


AS_WRITTEN = Links(
    dashboards="https://grafana.example.com",
    runbooks="https://github.com/flowgauge/flowgauge/blob/main/runbooks",
)
"""What the rules and dashboards say as they lie in the repository."""


def relink(text: str, links: Links) -> str:
    """Return the rule file or dashboard *text* with its links leading to *links*."""
    text = text.replace(f"{AS_WRITTEN.dashboards}/", f"{links.dashboards}/")
    # Without the slash: a dashboard links to the folder itself.
    return text.replace(AS_WRITTEN.runbooks, links.runbooks)
