"""MLflow with the server app beside the bare one: the same requests to both, answers compared."""
