"""Which request is being answered, for what happens deep in MLflow, in whatever thread."""

from contextvars import ContextVar
from typing import Protocol

__all__ = ["CURRENT"]


class _Request(Protocol):
    waited_in_vain: bool


# uvicorn serves each request in a context of its own; threads that work for it get a copy.
CURRENT: ContextVar[_Request | None] = ContextVar("flowgauge_request", default=None)
