"""What a new process has loaded."""

import json
import os
import subprocess
import sys

__all__ = ["modules_after"]


def modules_after(statement: str, **environ: str) -> set[str]:
    """Return the modules that a new interpreter has loaded after *statement*."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    env = {**os.environ, **environ}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=env)
    return set(json.loads(done.stdout.splitlines()[-1]))
