"""Fuzzing: what others write, in thousands of wrong ways."""

from stack.fuzz.running import fuzz
from stack.fuzz.targets import TARGETS

__all__ = ["TARGETS", "fuzz"]
