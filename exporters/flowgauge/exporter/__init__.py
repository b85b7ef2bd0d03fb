"""The exporter: collectors and the web endpoints that show them."""
