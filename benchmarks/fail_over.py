"""What a fail-over loses: payloads that callers were told are kept, and that are gone.

    python -m benchmarks.fail_over

Three threads put payloads of 1 MB into the outbox. Then the replica hangs, payloads go on to come,
and the primary is killed. Lost is what was taken while the replica hung, less what was on its way.
"""

import tempfile
from pathlib import Path

from stack.fail_over import cluster, lose_primary, postgres_pair, sentinels

_STORES = (
    ("Redis, Sentinels", sentinels, ()),
    ("the same, `wait_replicas=1`", sentinels, ("?wait_replicas=1",)),
    ("Redis Cluster", cluster, ()),
    ("the same, `wait_replicas=1`", cluster, ("?wait_replicas=1",)),
    ("PostgreSQL", postgres_pair, ()),
    (
        "the same, `synchronous_standby_names`",
        postgres_pair,
        ("standby",),
    ),
)


def main() -> None:
    """Print the table."""
    print("| store | told kept | of these lost | refused |\n|---|--:|--:|--:|")
    for name, start, confirmed in _STORES:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            with start(Path(folder), *confirmed) as store:
                outcome = lose_primary(store)
        print(f"| {name} | {len(outcome.kept)} | {outcome.lost} | {outcome.refused} |", flush=True)


if __name__ == "__main__":
    main()
