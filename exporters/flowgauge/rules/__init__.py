"""Prometheus rule files: reading, checking, mutating."""
