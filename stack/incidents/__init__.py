"""Real faults in a real system: the right alert arrives, in time, alone, and it ends.

MLflow on PostgreSQL, the exporter, Redis, Prometheus with our rules, Alertmanager with our
configuration, and a receiver of its notifications. `python -m stack.incidents [NAME...]`.
"""
