"""What Redis and redis-py say, in sentences that name the cure."""

from redis import exceptions

from flowgauge.redact import quote
from flowgauge.store.errors import StoreBusyError, StoreError, StoreUnavailableError
from flowgauge.store.redis.connections import NoMasterError, NotConnectedError

__all__ = ["is_elsewhere", "refusal"]

# Whoever says so did nothing; the one that has the store now is to be looked for.
_ELSEWHERE = ("MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "LOADING")
_ELSEWHERE_CLASSES = (
    NotConnectedError,
    NoMasterError,
    exceptions.MovedError,
    exceptions.AskError,
    exceptions.TryAgainError,
    exceptions.ClusterDownError,
    exceptions.MasterDownError,
    exceptions.SlotNotCoveredError,
    exceptions.ReadOnlyError,
    exceptions.BusyLoadingError,
)
_BETWEEN = "is between two nodes, or its cluster is down: {}"
# The first that fits; the class says whether Redis may answer later.
_BY_CLASS = (
    (exceptions.TimeoutError, StoreUnavailableError, "does not answer in time"),
    (exceptions.AuthenticationError, StoreError, "refuses the login: check user and password"),
    (exceptions.NoPermissionError, StoreError, "refuses: {}: check the user's ACL"),
    (exceptions.BusyLoadingError, StoreUnavailableError, "is still loading its data"),
    (exceptions.ReadOnlyError, StoreUnavailableError, "is a read-only replica: name the primary"),
    (exceptions.OutOfMemoryError, StoreUnavailableError, "is out of memory: raise its maxmemory"),
    (
        NoMasterError,
        StoreUnavailableError,
        "has no master that a Sentinel sees up: check its name, and where the Sentinels are",
    ),
    (exceptions.MovedError, StoreError, "is a node of a cluster: use redis+cluster://"),
    (
        (
            exceptions.AskError,
            exceptions.TryAgainError,
            exceptions.ClusterDownError,
            exceptions.MasterDownError,
            exceptions.SlotNotCoveredError,
        ),
        StoreUnavailableError,
        _BETWEEN,
    ),
    (
        exceptions.InvalidResponse,
        StoreError,
        "answers, but not as Redis does: name host and port of a Redis",
    ),
    (exceptions.ConnectionError, StoreUnavailableError, "cannot be reached: {}"),
)
_FULL = "max number of clients reached"
_HUNG_UP = "Connection closed by server."
# What else a server says, by how it begins.
_BY_WORDS: dict[str, tuple[type[StoreError], str]] = {
    "MISCONF": (StoreUnavailableError, "cannot be written: Redis cannot save it, see to its disk"),
    "NOREPLICAS": (StoreUnavailableError, "cannot be written: Redis has too few replicas"),
    "MOVED": (StoreError, "is a node of a cluster: use redis+cluster://"),
    **dict.fromkeys(
        ("ASK", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN"), (StoreUnavailableError, _BETWEEN)
    ),
    "Cluster mode is not enabled": (
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
    return (
        isinstance(error, _ELSEWHERE_CLASSES)
        # What redis-py makes of a master that has become a replica.
        or isinstance(error.__context__, exceptions.ReadOnlyError)
        # redis-py 5 has classes for these in its cluster client only.
        or (isinstance(error, exceptions.ResponseError) and str(error).startswith(_ELSEWHERE))
    )


def refusal(store: str, error: Exception) -> StoreError:
    """Return what is wrong with *store*."""
    if _FULL in str(error):
        return StoreBusyError(f"{store} has no room for more: raise its maxclients")
    text = quote(str(error)).replace(_HUNG_UP, "it hung up, is it a Redis?")
    for cause, kind, sentence in _BY_CLASS:
        if isinstance(error, cause):
            return kind(f"{store} {sentence.format(text)}")
    if not isinstance(error, exceptions.RedisError):
        # What redis-py makes of answers that it cannot read.
        return StoreError(f"{store} {_BY_CLASS[-2][2]} ({type(error).__name__}: {text})")
    kind, sentence = next(found for words, found in _BY_WORDS.items() if text.startswith(words))
    return kind(f"{store} {sentence.format(text)}")
