"""Secrets stay out of what people read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowgauge.redact import quote, redact_text, redact_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:hunter2@h:6379/0", "redis://:***@h:6379/0"),
        ("https://alice:hunter2@h/ml", "https://alice:***@h/ml"),
        ("https://hunter2@h", "https://***@h"),
        ("https://h/?token=hunter2&page=2", "https://h/?token=***&page=2"),
        ("https://a:hun@ter2@h/", "https://a:***@h/"),
        ("sqlite:////var/lib/store.db", "sqlite:////var/lib/store.db"),
        ("https://h:5000/a?b=c#d", "https://h:5000/a?b=c#d"),
        ("http://[hunter2", "http://[hunter2"),
        ("redis://:hun/ter2@h:6379/0", "redis://:***@h:6379/0"),
        ("redis://u:1/ter2@h/0", "redis://u:***@h/0"),
        ("postgresql://u:hun#ter2@h/d", "postgresql://u:***@h/d"),
        ("https://a:hun?ter2@h/", "https://a:***@h/"),
        ("https://h:5000/@alice?mail=a@b", "https://h:5000/@alice?mail=a@b"),
        ("sqlite:////home/a@b/store.db", "sqlite:////home/a@b/store.db"),
    ],
)
def test_a_url_loses_its_secrets_and_nothing_else(url: str, shown: str) -> None:
    """The password, a lone user and secret parameters become ***; the rest stays as it was."""
    assert redact_url(url) == shown


@given(st.text(alphabet=st.characters(codec="ascii", categories=["L", "N"]), min_size=8))
def test_a_text_loses_the_password_of_every_url(password: str) -> None:
    """However often a URL with a login stands in a text, its password does not."""
    text = f"cannot reach redis://:{password}@h/0 nor https://u:{password}@h/ml, sorry"
    assert password not in redact_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://h/callback?code=1&access_token=hunter2&state=3",
        "connection failed: host=db user=u password=hunter2 dbname=d",
        "connection failed: host=db password='hunter2 hunter2' dbname=d",
        '{"error": "no", "client_secret": "hunter2", "page": 2}',
        "{'apiKey' : 'hunter2'}",
        "PGPASSWORD=hunter2 psql",
        "Authorization: Basic hunter2hunter2==",
        '"authorization": "hunter2hunter2"',
        "the token 'Bearer hunter2.hunter2' has expired",
        "who is Basic bWU6aHVudGVyMg==?",
        "who is basic bWU6aHVudGVyMg?",
        "X-Amz-Credential=hunter2&X-Amz-Signature=hunter2",
    ],
)
def test_a_text_loses_what_is_called_a_secret(text: str) -> None:
    """In a query, in JSON, in a database's settings, in a header."""
    assert "hunter2" not in redact_text(text)
    assert "bWU6" not in redact_text(text)
    assert redact_text(redact_text(text)) == redact_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN: see",
        "put the token into --token: a file",
        'sum by (key) (rate(mlflow_rate_limit_hits_total{key="api"}[5m]))',
        "a bearer token, or basic authentication",
        "Basic Authentication, or Basic credentials: see",
        "Authorization: see above",
    ],
)
def test_a_text_without_secrets_stays_as_it_was(text: str) -> None:
    """The names of secrets are not secret: cures are full of them."""
    assert redact_text(text) == text


@pytest.mark.parametrize("gap", [" ", "x"])
def test_a_login_is_not_shown_where_a_quotation_is_cut(gap: str) -> None:
    """What is not read to its end is not shown to its end."""
    assert "hunter2" not in quote(f"{gap * 99_980}https://user:hunter2@mlflow")


@given(st.text())
def test_a_quotation_is_one_short_line(text: str) -> None:
    """Whatever a server said, it is quoted on one printable line of bounded length."""
    quoted = quote(text, longest=40)
    assert len(quoted) <= 40
    assert quoted.isprintable()


@pytest.mark.parametrize(
    "hostile",
    [
        *["a", "a://", "a://b:", "://", "a.+-", "@", "https://u:p@"],
        *["password", "token=", "token ", "secret='", '"secret": "', "authorization: ", "bearer a"],
    ],
)
def test_however_much_hostile_text_is_read_once(hostile: str) -> None:
    """The time a text takes grows with its length alone: it never holds the interpreter."""
    text = hostile * (300_000 // len(hostile))
    assert "u:p@" not in redact_text(text)
    assert len(quote(text)) <= 300
