"""Extract, clean and load three tables, and track the quality of each.

What travels between the tasks is an `ExtractPayload`: figures, and the path of the data. The data
stay in files, for XCom is Airflow's database. On several workers the folder must be shared.
"""

from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from airflow.sdk import dag, task

from flowgauge.airflow import ExtractPayload, log_with_mlflow, validate_payload_schema

TABLES = ["diabetes", "wine", "breast_cancer"]


@dag(schedule=None, tags=["example"])
def etl_quality() -> None:
    """Mark outliers in scikit-learn's tables as missing, and count what is left."""

    @task
    def extract(name: str) -> ExtractPayload:
        from sklearn import datasets

        table = getattr(datasets, f"load_{name}")(as_frame=True).frame
        return describe(table, Path(mkdtemp(prefix="etl_quality_")) / "raw.csv", name)

    @task
    def transform(payload: ExtractPayload) -> ExtractPayload:
        import pandas as pd

        payload = validate_payload_schema(payload)
        raw = Path(payload["path"])
        table = pd.read_csv(raw)
        plausible = (table - table.mean()).abs() <= 3 * table.std()
        cleaned = describe(table.where(plausible), raw.with_name("clean.csv"), payload["source"])
        return {**cleaned, "params": {"transformed": True}}

    @task
    def track(payload: ExtractPayload) -> str | None:
        return log_with_mlflow(payload, experiment="etl_quality", tags={"component": "etl"})

    track.expand(payload=transform.expand(payload=extract.expand(name=TABLES)))


def describe(table: Any, path: Path, source: str) -> ExtractPayload:
    """Write *table* (a pandas DataFrame) to *path* and return what there is to say about it."""
    from pandas.util import hash_pandas_object

    table.to_csv(path, index=False)
    payload = {
        "rows": len(table),
        "null_rate": table.isna().to_numpy().mean(),
        "checksum": hash_pandas_object(table).sum(),
        "path": path,
        "source": source,
    }
    # Turns numpy's numbers and the path into what XCom can carry.
    return validate_payload_schema(payload)


etl_quality()
