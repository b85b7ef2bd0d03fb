"""What goes wrong, in one sentence a user can act on."""

__all__ = ["FlowgaugeError", "UsageError"]


class FlowgaugeError(Exception):
    """Something is wrong: the message names the thing, says what is wrong and what to do.

    The command line prints the message alone, on stderr, and exits with `exit_code`.
    """

    exit_code = 1


class UsageError(FlowgaugeError):
    """Flowgauge was called or configured wrongly."""

    exit_code = 2
