"""The runs of DAGs in MLflow, read a little at a time."""
