import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.server import app as flask_app

from flowgauge.server.routes import OTHER, Routes, path_of

PATHS = st.lists(st.sampled_from(["api", "ajax-api", "2.0", "mlflow", "runs", "get", "a b", "é"]))
RULES = [rule.rule for rule in flask_app.url_map.iter_rules()]
TEMPLATES = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule) for rule in RULES}


ROUTES = Routes(flask_app.url_map, prefix="")


@pytest.mark.parametrize(
    ("root", "path", "below"),
    [
        ("", "/version", "/version"),
        ("/ml", "/ml/version", "/version"),
        ("/ml/", "/ml/version", "/version"),
        ("/ml", "/mlflow", "/mlflow"),
        ("/ml", "/version", "/version"),
    ],
)
def test_a_mount_is_no_part_of_the_route(root: str, path: str, below: str) -> None:
    """`uvicorn --root-path` puts a prefix before each path, which is none of MLflow's."""
    scope = {"type": "http", "path": path, "root_path": root, "method": "GET"}
    assert path_of(scope) == below
    template = ROUTES.template(scope)
    assert template == ("/version" if below == "/version" else OTHER)


@given(path=st.text() | PATHS.map("/".join), method=st.sampled_from(["GET", "PUT", "*", ""]))
def test_a_label_is_a_template_or_other(path: str, method: str) -> None:
    """However strange the path and method, the label is one that MLflow's routing table holds."""
    scope = {"type": "http", "path": f"/{path}", "method": method}
    assert ROUTES.template(scope) in {*TEMPLATES, OTHER}
