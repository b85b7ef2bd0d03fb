"""`make faults`: log calls that are killed at every line of flowgauge, and what came of them."""
