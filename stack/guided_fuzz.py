"""`make fuzz-guided`: inputs that atheris finds by what they reach, in place of Hypothesis'.

It sees what of flowgauge's own code an input runs, and keeps what runs more of it; what is found so
lies in .run/fuzz/NAME, beside the corpus.
"""

import logging
import sys
import tempfile
from pathlib import Path

import atheris

__all__: list[str] = []

# Not in the package `fuzz`, which would have loaded all before it is instrumented.
with atheris.instrument_imports(include=["flowgauge"]):
    from stack.fuzz.running import CORPUS, LAST
    from stack.fuzz.targets import TARGETS

_LONGEST_INPUT = 20_000


def main(name: str, seconds: int) -> None:
    """Fuzz the target *name* for so many *seconds*; the process ends at what fails."""
    # What is wrong with each input is said there, too.
    logging.disable()
    found = LAST / "guided" / name
    found.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as known:
        for file in CORPUS.glob(f"{name}.*"):
            (Path(known) / file.name).write_bytes(file.read_bytes())
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={_LONGEST_INPUT}",
            f"-artifact_prefix={found}/",
            *("-timeout=30", "-print_final_stats=1", str(found), known),
        ]
        atheris.Setup([name, *options], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
