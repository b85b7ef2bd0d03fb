"""`python -m flowgauge`, for a Python whose scripts are not on PATH."""

from flowgauge.cli import main

if __name__ == "__main__":
    main()
