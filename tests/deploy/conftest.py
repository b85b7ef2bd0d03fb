"""What deploys flowgauge, built once."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowgauge.environment import load_environment
from flowgauge.render import render, replace_folder
from stack.process import python_tool

Manifests = dict[tuple[str, str], dict[str, Any]]
"""Kubernetes manifests by kind and name."""

EXAMPLES = Path(__file__).parents[2] / "environments"


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rendering of the repository's environment `prod`."""
    out = tmp_path_factory.mktemp("production") / "prod"
    replace_folder(out, render("prod", load_environment("prod", EXAMPLES)))
    return out


@pytest.fixture(scope="session")
def manifests(production: Path) -> Manifests:
    """What `kubectl apply -k` would apply to the cluster of `prod`."""
    return kustomize(production)


def kustomize(folder: Path) -> Manifests:
    """Build the kustomization in *folder* with the real kubectl."""
    tools = f"{Path(python_tool('python')).parent}{os.pathsep}{os.environ['PATH']}"
    kubectl = shutil.which("kubectl", path=tools)
    assert kubectl, "kubectl is missing: `scripts/kubectl .venv/bin/kubectl` gets it"
    built = subprocess.run(
        [kubectl, "kustomize", folder], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    assert built.stderr == ""
    found = list(yaml.safe_load_all(built.stdout))
    return {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in found}
