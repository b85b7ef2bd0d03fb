"""DAGs run to their end in one process: real tasks in a real Airflow, without a scheduler.

Also a program, which `run_dags` starts and which needs nothing but Airflow: 2.11 runs it as well.
"""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["DagTestError", "run_dags"]


class DagTestError(Exception):
    """A DAG did not run, or did not succeed; the message ends with what the tasks logged."""


def run_dags(
    env: Mapping[str, str],
    dags: Path,
    runs: Sequence[tuple[str, Mapping[str, Any]]],
    *,
    python: str = sys.executable,
) -> list[str]:
    """Run DAGs of the folder *dags*, one after the other, and return their run ids.

    *runs* gives each its id, which its file and its function bear too, and its configuration.
    *env* selects the Airflow (see `stack.airflow.airflow_home`), *python* its interpreter. Raises
    `DagTestError` for the first that fails.
    """
    result = Path(env["AIRFLOW_HOME"], "dag_test.json")
    done = subprocess.run(
        [python, __file__, str(dags.resolve()), json.dumps(runs), str(result)],
        env={**os.environ, **env},
        cwd=env["AIRFLOW_HOME"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DagTestError(f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}")
    run_ids: list[str] = json.loads(result.read_text())
    return run_ids


def _main(dags: str, runs: str, result: str) -> None:
    # In place of this file's folder, whose airflow.py would be taken for Airflow.
    sys.path[0] = dags
    run_ids = []
    for dag_id, configuration in json.loads(runs):
        dag = getattr(importlib.import_module(dag_id), dag_id)()
        run = dag.test(run_conf=configuration)
        if run.state != "success":
            sys.exit(f"{dag_id} ended as {run.state}")
        run_ids.append(run.run_id)
    Path(result).write_text(json.dumps(run_ids))


if __name__ == "__main__":
    _main(*sys.argv[1:])
