"""A secrets backend that never answers."""

from threading import Event

from airflow.secrets import BaseSecretsBackend

__all__ = ["HangingBackend"]


class HangingBackend(BaseSecretsBackend):  # type: ignore[misc] # Airflow is not followed by mypy
    """Answers no question about Connections and Variables."""

    def get_connection(self, conn_id: str) -> None:  # noqa: ARG002 - Airflow's signature
        """Never return."""
        Event().wait()

    def get_variable(self, key: str, **_: object) -> None:  # noqa: ARG002 - see above
        """Never return."""
        Event().wait()

    def get_config(self, key: str) -> None:
        """Know nothing."""
