"""What runs inside the MLflow server: the app factory, HTTP and pool metrics."""
