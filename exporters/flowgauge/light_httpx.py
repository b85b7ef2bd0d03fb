"""httpx without its command line, which is a third of what it takes to load.

A task pays for that with its first log call, and of forty that are forked at once each does. httpx
goes without where click or rich is missing (`httpx/__init__.py`), and here too.
"""

import sys

__all__ = ["httpx"]

_COMMAND_LINE = "httpx._main"

if "httpx" not in sys.modules:
    # None is what Python takes for a module that cannot be found.
    sys.modules[_COMMAND_LINE] = None  # type: ignore[assignment]
try:
    import httpx
finally:
    if sys.modules.get(_COMMAND_LINE, ...) is None:
        del sys.modules[_COMMAND_LINE]
