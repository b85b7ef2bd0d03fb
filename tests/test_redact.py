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


@given(st.text())
def test_a_quotation_is_one_short_line(text: str) -> None:
    """Whatever a server said, it is quoted on one printable line of bounded length."""
    quoted = quote(text, longest=40)
    assert len(quoted) <= 40
    assert quoted.isprintable()


@pytest.mark.parametrize("hostile", ["a", "a://", "a://b:", "://", "a.+-", "@", "https://u:p@"])
def test_megabytes_of_hostile_text_are_read_once(hostile: str) -> None:
    """The time a text takes grows with its length alone: a megabyte never holds the interpreter."""
    text = hostile * (1_000_000 // len(hostile))
    assert "u:p@" not in redact_text(text)
    assert len(quote(text)) <= 300
