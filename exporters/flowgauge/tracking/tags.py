"""The tags that tie an MLflow run to the Airflow task that started it."""

__all__ = [
    "DAG_ID_TAG",
    "LOG_ID_TAG",
    "MAP_INDEX_TAG",
    "RUN_ID_TAG",
    "TASK_ID_TAG",
    "TRY_NUMBER_TAG",
]

DAG_ID_TAG = "airflow.dag_id"
TASK_ID_TAG = "airflow.task_id"
RUN_ID_TAG = "airflow.run_id"
MAP_INDEX_TAG = "airflow.map_index"
TRY_NUMBER_TAG = "airflow.try_number"

# Chosen by the client for every payload: tells whether a doubtful one arrived.
LOG_ID_TAG = "flowgauge.log_id"
