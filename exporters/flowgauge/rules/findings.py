"""What is wrong with a rule, and which check found it."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Finding"]


@dataclass(frozen=True)
class Finding:
    """A sentence about the rule called `rule` in the file `path`, from the check of that name."""

    path: Path
    rule: str
    check: str
    sentence: str

    def __str__(self) -> str:
        rule = f"{self.rule}: " if self.rule else ""
        here = Path.cwd()
        path = self.path.relative_to(here) if self.path.is_relative_to(here) else self.path
        return f"{path}: {rule}{self.sentence} ({self.check})"
