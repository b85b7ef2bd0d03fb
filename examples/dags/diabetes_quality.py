"""A small DAG that runs all the time: the pulse of a live demonstration."""

from datetime import timedelta

from airflow.sdk import dag, task

from flowgauge.airflow import log_with_mlflow


@dag(schedule=timedelta(seconds=20), catchup=False, max_active_runs=1, tags=["example"])
def diabetes_quality() -> None:
    """Measure a random tenth of scikit-learn's diabetes table, as if it had just come in."""

    @task
    def measure() -> str | None:
        from pandas.util import hash_pandas_object
        from sklearn.datasets import load_diabetes

        table = load_diabetes(as_frame=True, scaled=False).frame.sample(frac=0.1)
        # Blood serum values beyond three standard deviations are measuring errors.
        serum = table[["s1", "s2", "s3", "s4", "s5", "s6"]]
        plausible = (serum - serum.mean()).abs() <= 3 * serum.std()
        table[serum.columns] = serum.where(plausible)
        return log_with_mlflow(
            {
                "rows": len(table),
                "null_rate": table.isna().to_numpy().mean(),
                "checksum": hash_pandas_object(table).sum(),
                "source": "sklearn.datasets.load_diabetes",
            }
        )

    measure()


diabetes_quality()
