"""The one door to Airflow, 2.10 to 3.3: nothing else of flowgauge imports it.

What needs Airflow's API server or database is bounded in time and raises nothing: None or False say
that it could not be had, and a debug line or one warning says why. Airflow 2 and 3 are told apart
by where they keep a name, in `names`.
"""
