"""Tasks whose code runs elsewhere: in a pod, a container, a cluster."""

__all__ = ["task_env"]


def task_env() -> dict[str, str]:
    """Return the variables that tell code elsewhere which task it runs for.

    To be given to an operator, in a DAG file: `env_vars=task_env()`, or `environment=`, `env=`. The
    values are templates, which the operator fills in for each task, map index and try; the field
    must be one of its template fields, as those three are. They say what Airflow tells the programs
    of a task that inherit its environment: so the runs made there have the same tags, requests the
    same names, and the DAG parameter `mlflow_enable` counts. They hold no address and no secret.
    """
    return {
        "AIRFLOW_CTX_DAG_ID": "{{ dag.dag_id }}",
        "AIRFLOW_CTX_TASK_ID": "{{ task.task_id }}",
        "AIRFLOW_CTX_DAG_RUN_ID": "{{ run_id }}",
        "AIRFLOW_CTX_TRY_NUMBER": "{{ ti.try_number }}",
        "FLOWGAUGE_MAP_INDEX": "{{ ti.map_index }}",
        "FLOWGAUGE_MLFLOW_ENABLE": "{{ params.mlflow_enable | default(true) }}",
    }
