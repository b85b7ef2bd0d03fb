"""MLflow's quickstart as its documentation has it, in a DAG like Airflow's TaskFlow tutorial."""

from datetime import datetime

from airflow.decorators import dag, task


@dag(schedule="@once", start_date=datetime(2021, 1, 1), catchup=False, tags=["example"])
def quickstart():
    """Train on the iris data, first by autologging, then by hand."""

    @task()
    def autologged():
        import mlflow
        from sklearn.datasets import load_iris
        from sklearn.linear_model import LogisticRegression

        mlflow.set_experiment("MLflow Quickstart")
        mlflow.sklearn.autolog()
        X, y = load_iris(return_X_y=True)
        LogisticRegression(max_iter=1000, random_state=8888).fit(X, y)

    @task()
    def by_hand():
        import mlflow
        from sklearn.datasets import load_iris
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import accuracy_score
        from sklearn.model_selection import train_test_split

        mlflow.set_experiment("MLflow Quickstart")
        X, y = load_iris(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)
        params = {"solver": "lbfgs", "max_iter": 1000, "random_state": 8888}
        with mlflow.start_run():
            mlflow.log_params(params)
            lr = LogisticRegression(**params)
            lr.fit(X_train, y_train)
            mlflow.sklearn.log_model(sk_model=lr, name="iris_model")
            accuracy = accuracy_score(y_test, lr.predict(X_test))
            mlflow.log_metric("accuracy", accuracy)
            mlflow.set_tag("Training Info", "Basic LR model for iris data")

    autologged() >> by_hand()


quickstart()
