"""What PostgreSQL says of itself that the outbox depends on."""

import json
from collections.abc import Sequence

from flowgauge.store.risks import Risk

__all__ = ["RISKS_SQL", "read_risks"]

# Of this session, and so of the server, the database and the role.
RISKS_SQL = """
SELECT json_build_array(
    current_setting('fsync') = 'off' OR current_setting('synchronous_commit') = 'off',
    pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on'
)
"""


def read_risks(answer: str) -> Sequence[Risk]:
    """Return what `RISKS_SQL` found."""
    unsafe, replica = json.loads(answer)
    return [Risk("fsync", unsafe), Risk("replica", replica)]
