"""What runs in Airflow tasks: the log call, the rate limit, the outbox, the plugin."""
