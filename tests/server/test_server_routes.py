import re

from hypothesis import given
from hypothesis import strategies as st
from mlflow.server import app as flask_app

from flowgauge.server.routes import OTHER, Routes

PATHS = st.lists(st.sampled_from(["api", "ajax-api", "2.0", "mlflow", "runs", "get", "a b", "é"]))
RULES = [rule.rule for rule in flask_app.url_map.iter_rules()]
TEMPLATES = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule) for rule in RULES}


ROUTES = Routes(flask_app.url_map, prefix="")


@given(path=st.text() | PATHS.map("/".join), method=st.sampled_from(["GET", "PUT", "*", ""]))
def test_a_label_is_a_template_or_other(path: str, method: str) -> None:
    """However strange the path and method, the label is one that MLflow's routing table holds."""
    scope = {"type": "http", "path": f"/{path}", "method": method}
    assert ROUTES.template(scope) in {*TEMPLATES, OTHER}
