"""Train a model, register it, and keep what explains it as an artifact.

The code is plain MLflow. flowgauge's run-context provider tags the run with DAG, task and DAG run.
"""

from pathlib import Path
from tempfile import mkdtemp

from airflow.sdk import dag, task

MODEL = "breast_cancer_prediction_model"


@dag(schedule=None, tags=["example"])
def ml_training_pipeline() -> None:
    """Predict from scikit-learn's breast cancer table whether a tumour is benign."""

    @task
    def load_data() -> str:
        from sklearn.datasets import load_breast_cancer

        path = Path(mkdtemp(prefix="ml_training_pipeline_")) / "training.csv"
        load_breast_cancer(as_frame=True).frame.to_csv(path, index=False)
        return str(path)

    @task
    def train_model(path: str) -> str:
        import mlflow
        import pandas as pd
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.model_selection import train_test_split

        data = pd.read_csv(path)
        features, target = data.drop(columns="target"), data["target"]
        learn_x, test_x, learn_y, test_y = train_test_split(features, target, random_state=42)
        settings = {"n_estimators": 50, "max_depth": 10, "random_state": 42}
        mlflow.set_experiment("model_training")
        with mlflow.start_run() as run:
            mlflow.log_params({"algorithm": "RandomForest", **settings})
            model = RandomForestClassifier(**settings).fit(learn_x, learn_y)
            mlflow.log_metrics(
                {
                    "train_accuracy": model.score(learn_x, learn_y),
                    "test_accuracy": model.score(test_x, test_y),
                }
            )
            mlflow.sklearn.log_model(
                model,
                name="model",
                registered_model_name=MODEL,
                # A forest's nodes: MLflow wants to hear that we trust what we have just trained.
                skops_trusted_types=["sklearn.tree._tree.Tree"],
            )
            importance = pd.Series(model.feature_importances_, features.columns, name="importance")
            file = Path(path).with_name("feature_importance.csv")
            importance.sort_values(ascending=False).to_csv(file, index_label="feature")
            mlflow.log_artifact(str(file))
        run_id: str = run.info.run_id
        return run_id

    train_model(load_data())


ml_training_pipeline()
