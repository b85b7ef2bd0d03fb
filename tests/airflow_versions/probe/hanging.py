"""A secrets backend that never answers."""

from threading import Event

__all__ = ["HangingBackend"]


class HangingBackend:
    """Keeps Airflow's interface of secrets backends, by duck type: its base moved about."""

    def get_connection(self, conn_id: str) -> None:  # noqa: ARG002 - Airflow's signature
        """Never return."""
        Event().wait()

    def get_variable(self, key: str, **_: object) -> None:  # noqa: ARG002 - see above
        """Never return."""
        Event().wait()

    def get_config(self, key: str) -> None:
        """Know nothing."""
