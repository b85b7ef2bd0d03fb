"""All parts under load for hours: memory, descriptors and threads stay what they are."""

from stack.soak.soaking import Soaked, soak
from stack.soak.watching import Trend

__all__ = ["Soaked", "Trend", "soak"]
