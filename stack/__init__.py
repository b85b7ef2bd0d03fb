"""Real MLflow, PostgreSQL, Redis, Prometheus, Alertmanager and Airflow on loopback.

`make run`, the tests, the incidents and the benchmarks start their parts here. Every part is a
context manager that yields once the part answers and stops what it started when it ends.
"""
