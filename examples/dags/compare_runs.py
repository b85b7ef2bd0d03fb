"""Find the best of the models that `ml_training_pipeline` trained."""

import logging

from airflow.sdk import dag, task

_log = logging.getLogger(__name__)


@dag(schedule=None, tags=["example"])
def compare_runs() -> None:
    """Compare the runs of an experiment by one metric."""

    @task
    def compare_experiments() -> dict[str, str | float]:
        import mlflow
        from airflow.sdk.exceptions import AirflowSkipException

        best = mlflow.search_runs(
            experiment_names=["model_training"],
            filter_string="attributes.status = 'FINISHED'",
            order_by=["metrics.test_accuracy DESC"],
            max_results=1,
            output_format="list",
        )
        if not best:
            raise AirflowSkipException("No model has been trained: run ml_training_pipeline first")
        run_id, accuracy = best[0].info.run_id, best[0].data.metrics["test_accuracy"]
        _log.info("The best run is %s with an accuracy of %.3f", run_id, accuracy)
        return {"best_run_id": run_id, "best_accuracy": accuracy}

    compare_experiments()


compare_runs()
