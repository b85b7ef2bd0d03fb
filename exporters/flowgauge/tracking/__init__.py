"""MLflow's REST API: where the server is, and how to ask it."""
