"""The store: what tasks write and the exporter reads."""
