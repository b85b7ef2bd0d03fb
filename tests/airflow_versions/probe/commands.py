"""Do several of Airflow's commands in one process; Airflow takes its time to load."""

import json
import sys

from airflow.__main__ import main

for command in json.loads(sys.argv[1]):
    sys.argv = ["airflow", *command]
    main()
