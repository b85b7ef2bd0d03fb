"""`flowgauge check`: the whole path from a task to the metrics page, step by step."""

from flowgauge.diagnosis.step import Name, Status, Step
from flowgauge.diagnosis.walk import SKIPPABLE, walk

__all__ = ["SKIPPABLE", "Name", "Status", "Step", "walk"]
