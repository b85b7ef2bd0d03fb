"""`flowgauge check`: the whole path from a task to the metrics page, step by step."""

from flowgauge.diagnosis.step import Status, Step
from flowgauge.diagnosis.walk import walk

__all__ = ["Status", "Step", "walk"]
