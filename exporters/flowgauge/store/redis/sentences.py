"""What a Redis says, in sentences that name the cure."""

from flowgauge.redact import quote
from flowgauge.store.errors import StoreBusyError, StoreError, StoreUnavailableError
from flowgauge.store.redis.connections import NoMasterError, NotConnectedError, RefusedError

__all__ = ["is_elsewhere", "refusal"]

# Whoever says so did nothing; the one that has the store now is to be looked for.
_ELSEWHERE = {"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "LOADING"}
_LOGIN = (StoreError, "refuses the login: check user and password")
_BETWEEN = (StoreUnavailableError, "is between two nodes, or its cluster is down: {}")
# By how an answer begins; the class says whether Redis may answer later.
_BY_WORDS: dict[str, tuple[type[StoreError], str]] = {
    "NOAUTH": _LOGIN,
    "WRONGPASS": _LOGIN,
    "AUTH": _LOGIN,
    "NOPERM": (StoreError, "refuses: {}: check the user's ACL"),
    "LOADING": (StoreUnavailableError, "is still loading its data"),
    "READONLY": (StoreUnavailableError, "is a read-only replica: name the primary"),
    "OOM": (StoreUnavailableError, "is out of memory: raise its maxmemory"),
    "MISCONF": (StoreUnavailableError, "cannot be written: Redis cannot save it, see to its disk"),
    "NOREPLICAS": (StoreUnavailableError, "cannot be written: Redis has too few replicas"),
    "MOVED": (StoreError, "is a node of a cluster: use redis+cluster://"),
    **dict.fromkeys(("ASK", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN"), _BETWEEN),
    "BUSY": (StoreUnavailableError, "is busy with a script that takes long"),
    # In a cluster they are more words.
    "max number of clients": (
        StoreBusyError,
        "has no room for more: raise its maxclients",
    ),
    "This instance has cluster support disabled": (
        StoreError,
        "is no Redis Cluster: use redis:// for a single server",
    ),
    "unknown command": (
        StoreError,
        "refuses: {}: name a Redis by redis://, its Sentinels by redis+sentinel://",
    ),
    "": (StoreError, "refuses: {}"),
}


def is_elsewhere(error: Exception) -> bool:
    """Return whether *error* says that nothing was done, as another Redis has the store now."""
    if isinstance(error, RefusedError):
        return error.code in _ELSEWHERE
    return isinstance(error, NotConnectedError | NoMasterError)


def refusal(store: str, error: Exception) -> StoreError:
    """Return what is wrong with *store*."""
    text = quote(str(error))
    match error:
        case TimeoutError():
            return StoreUnavailableError(f"{store} does not answer in time")
        case OSError():
            return StoreUnavailableError(f"{store} cannot be reached: {text}")
        case NoMasterError():
            return StoreUnavailableError(
                f"{store} has no master that a Sentinel sees up: check its name, and where the"
                " Sentinels are"
            )
        case RefusedError():
            said = text.removeprefix("ERR ")
            found = (found for words, found in _BY_WORDS.items() if said.startswith(words))
            kind, sentence = next(found)
            return kind(f"{store} {sentence.format(said)}")
    return StoreError(
        f"{store} answers, but not as Redis does: name host and port of a Redis"
        f" ({type(error).__name__}: {text})"
    )
