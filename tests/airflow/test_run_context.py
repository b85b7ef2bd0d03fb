import types
import warnings
from typing import Any

import pytest
from mlflow.tracking.context.registry import resolve_tags

from flowgauge.airflow.context import Task, current_task


def test_mlflow_outside_airflow_is_left_alone() -> None:
    """MLflow code that no task runs gets no tags, and no warning either."""
    with warnings.catch_warnings(action="error"):
        tags = resolve_tags()
    assert not any(name.startswith("airflow.") for name in tags)


def test_mlflow_in_a_program_of_a_task_is_tagged(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Airflow puts into the environment of a task's programs becomes tags."""
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "etl")
    monkeypatch.setenv("AIRFLOW_CTX_TASK_ID", "load")
    monkeypatch.setenv("AIRFLOW_CTX_DAG_RUN_ID", "manual__1")
    monkeypatch.setenv("AIRFLOW_CTX_TRY_NUMBER", "2")
    tags = {name: value for name, value in resolve_tags().items() if name.startswith("airflow.")}
    assert tags == {
        "airflow.dag_id": "etl",
        "airflow.task_id": "load",
        "airflow.run_id": "manual__1",
        "airflow.try_number": "2",
    }


def _callback_of(dag: object, instance: object = None) -> Task:
    """Be called as Airflow calls a callback of *dag*, or of a task *instance* of it."""
    airflow_code = types.FunctionType(
        compile("def call(context, callback):\n    return callback()", "", "exec").co_consts[0],
        {"__name__": "airflow.callbacks"},
    )
    context = {"dag": dag, "run_id": "manual__1", "ti": instance}
    task: Task = airflow_code(context, current_task)
    return task


@pytest.mark.since(apache_airflow="3")
@pytest.mark.parametrize(("param", "enabled"), [({}, True), ({"default": False}, False)])
def test_a_parameter_without_a_default_is_no_error(param: dict[str, Any], enabled: bool) -> None:
    """Whoever triggers the DAG must say `mlflow_enable`, and a callback of the DAG is not told."""
    from airflow.sdk import DAG, Param  # noqa: PLC0415 - the other tests run without an Airflow

    dag = DAG("etl", schedule=None, params={"mlflow_enable": Param(**param, type="boolean")})
    assert _callback_of(dag) == Task(dag_id="etl", run_id="manual__1", mlflow_enable=enabled)


@pytest.mark.since(apache_airflow="2")
@pytest.mark.parametrize("dag", [None, {"dag_id": "etl"}, types.SimpleNamespace(dag_id="etl")])
def test_a_context_of_another_form_is_none(dag: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an Airflow to come, or somebody's provider, calls a context ends no task of ours."""
    import airflow  # noqa: F401, PLC0415 - as above

    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "told")
    assert _callback_of(dag) == Task(dag_id="told")


@pytest.mark.parametrize(
    ("environ", "task"),
    [
        ({}, Task()),
        ({"AIRFLOW_CTX_DAG_ID": "etl"}, Task(dag_id="etl")),
        ({"AIRFLOW_CTX_TRY_NUMBER": "many"}, Task()),
        # As a template of Airflow writes it for a task that is not mapped.
        ({"FLOWGAUGE_MAP_INDEX": "-1"}, Task()),
        ({"FLOWGAUGE_MLFLOW_ENABLE": "False"}, Task(mlflow_enable=False)),
        ({"FLOWGAUGE_MLFLOW_ENABLE": ""}, Task()),
    ],
)
def test_incomplete_surroundings_are_no_error(environ: dict[str, str], task: Task) -> None:
    """Whatever is missing or wrong in the environment is left out."""
    assert current_task(environ) == task


@pytest.mark.since(apache_airflow="2")
@pytest.mark.parametrize(
    ("instance", "resumed_by"),
    [
        ({"next_method": None}, ""),
        ({"next_method": "resume"}, "resume"),
        ({"_ti_context_from_server": None}, ""),
        ({"_ti_context_from_server": types.SimpleNamespace(next_method="resume")}, "resume"),
    ],
)
def test_a_task_knows_by_which_method_it_goes_on(instance: dict[str, Any], resumed_by: str) -> None:
    """Airflow 2 says it in the task instance, Airflow 3 in what its server told of that."""
    import airflow  # noqa: F401, PLC0415 - as above

    dag = types.SimpleNamespace(dag_id="etl", params={})
    assert _callback_of(dag, types.SimpleNamespace(**instance)).resumed_by == resumed_by
