"""The Grafana dashboards, as grafanalib definitions; their JSON lies in `json/`."""
