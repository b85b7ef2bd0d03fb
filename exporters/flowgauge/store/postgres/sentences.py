"""What PostgreSQL says, in sentences that name the cure."""

from flowgauge.redact import quote
from flowgauge.store.errors import StoreBusyError, StoreError, StoreUnavailableError
from flowgauge.store.postgres.client import PostgresError, PostgresTimeoutError

__all__ = ["refusal"]

# By the beginning of the SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html);
# the class says whether the store may answer later.
_BY_STATE: dict[str, tuple[type[StoreError], str]] = {
    "57014": (StoreBusyError, "does not answer in time"),
    "57P": (StoreUnavailableError, "is starting or stopping"),
    "25006": (StoreUnavailableError, "is a read-only replica: name the primary"),
    "53100": (StoreUnavailableError, "cannot be written: the disk is full"),
    "53300": (StoreBusyError, "has no room for more: {}"),
    "53": (StoreUnavailableError, "has no room for more: {}"),
    "40": (StoreBusyError, "is busy"),
    "28": (StoreError, "refuses the login: check user and password"),
    "42501": (
        StoreError,
        "refuses: {}: let a role that may make schemas run `flowgauge store init --grant ROLE`",
    ),
}
# A connection that fails has no SQLSTATE.
_BY_WORDS: dict[str, tuple[type[StoreError], str]] = {
    "password": (StoreError, "refuses the login: check user and password"),
    "no pg_hba.conf entry": (StoreError, "refuses the login: {}"),
    " does not exist": (StoreError, "refuses: {}"),
    "too many clients": (StoreBusyError, "has no room for more: {}"),
    "remaining connection slots": (StoreBusyError, "has no room for more: {}"),
    "session is read-only": (StoreUnavailableError, "is a read-only replica: name the primary"),
    "the database system is": (StoreUnavailableError, "is starting or stopping"),
    "": (StoreUnavailableError, "cannot be reached: {}"),
}


def refusal(store: str, error: PostgresError) -> StoreError:
    """Return what is wrong with *store*."""
    if isinstance(error, PostgresTimeoutError):
        return StoreUnavailableError(f"{store} does not answer in time")
    message = quote(str(error))
    if error.sqlstate:
        found = [found for state, found in _BY_STATE.items() if error.sqlstate.startswith(state)]
        kind, sentence = found[0] if found else (StoreError, "refuses: {}")
    else:
        kind, sentence = next(found for words, found in _BY_WORDS.items() if words in message)
    return kind(f"{store} {sentence.format(message)}")
