"""Which flowgauge this is."""

import platform
from collections.abc import Iterator

from flowgauge import __version__
from flowgauge.exporter.collector import Context, Family
from flowgauge.exporter.families import family
from flowgauge.metrics import BUILD_INFO

__all__ = ["BuildCollector"]


class BuildCollector:
    """Shows the exporter's own version."""

    name = "build"
    time_limit_seconds = 1.0

    def __init__(self, context: Context) -> None:
        """Take *context* as every collector does; it reads nothing from it."""

    def collect(self) -> Iterator[Family]:
        """Yield `flowgauge_build_info`."""
        yield family(BUILD_INFO, {(__version__, platform.python_version()): 1})
