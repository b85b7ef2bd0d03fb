"""Sets of labels that a series may have, known or not."""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["ANY", "Labels"]


@dataclass(frozen=True)
class Labels:
    """The `names`, or every label `but` these: what is not known is not left out."""

    names: frozenset[str] = frozenset()
    but: bool = False

    @classmethod
    def of(cls, names: Iterable[str]) -> "Labels":
        """Return just *names*."""
        return cls(frozenset(names))

    @property
    def known(self) -> frozenset[str] | None:
        """The labels if they can be counted, else None."""
        return None if self.but else self.names

    def __contains__(self, label: str) -> bool:
        return (label in self.names) is not self.but

    def __or__(self, other: "Labels") -> "Labels":
        match self.but, other.but:
            case False, False:
                return Labels(self.names | other.names)
            case True, True:
                return Labels(self.names & other.names, but=True)
            case True, False:
                return Labels(self.names - other.names, but=True)
            case _:
                return other | self

    def only(self, names: Iterable[str]) -> "Labels":
        """Return those of *names* that may be there."""
        return Labels(frozenset(name for name in names if name in self))

    def without(self, names: Iterable[str]) -> "Labels":
        """Return what is left when *names* are taken away."""
        gone = frozenset(names)
        return Labels(self.names | gone if self.but else self.names - gone, self.but)

    def both(self, other: "Labels") -> "Labels":
        """Return what may be in both."""
        if not self.but:
            return other.only(self.names)
        return self.only(other.names) if not other.but else Labels(self.names | other.names, True)


ANY = Labels(but=True)
"""What a series may have of which nothing is known."""
