"""TLS and basic auth from `--web.config.file`, as other Prometheus exporters have them."""

import os
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bcrypt
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.exporter.tls import ServerTls
from flowgauge.exporter.web_config import WebConfigFile
from stack.exporter import exporter
from stack.process import LOOPBACK, free_port
from stack.tls import Certificate, certificate


def _hash(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def _written(folder: Path, text: str) -> Path:
    file = folder / "web.yml"
    file.write_text(text)
    return file


@contextmanager
def _running(folder: Path, web_config: str) -> Iterator[str]:
    with exporter(
        folder,
        mlflow_uri=f"http://{LOOPBACK}:{free_port()}",
        store=f"sqlite:///{folder}/store.db",
        options=["--web.config.file", str(_written(folder, web_config))],
    ) as url:
        yield url


def _status(url: str, user: str = "", password: str = "") -> int:
    auth = (user, password) if user else None
    return httpx.get(f"{url}/healthz", auth=auth, timeout=60).status_code


def test_basic_auth_follows_the_file(folder: Path) -> None:
    """Only listed users pass; a changed file counts at once, a broken one lets nobody in."""
    with _running(folder, f"basic_auth_users: {{alice: '{_hash('wonder')}'}}") as url:
        assert _status(url, "alice", "wonder") == 200
        assert _status(url, "alice", "wrong") == 401
        assert _status(url, "bob", "wonder") == 401
        assert _status(url, "alice", "wonder" * 100) == 401
        assert _status(url, "alice", "wonder\0") == 401
        refused = httpx.get(f"{url}/metrics", timeout=60)
        assert refused.headers["www-authenticate"].startswith("Basic ")
        assert "mlflow_up" not in refused.text
        for header in ("Bearer wonder", "Basic", "Basic !", "Basic YWxpY2U=", "Basic /w=="):
            answer = httpx.get(url, headers={"Authorization": header}, timeout=60)
            assert answer.status_code == 401
        _written(folder, f"basic_auth_users: {{bob: '{_hash('builder')}'}}")
        assert _status(url, "alice", "wonder") == 401
        assert _status(url, "bob", "builder") == 200
        # bcrypt looks at 72 bytes: htpasswd's hash of a longer password is the hash of those.
        _written(folder, f"basic_auth_users: {{bob: '{_hash('x' * 72)}'}}")
        assert _status(url, "bob", "x" * 100) == 200
        _written(folder, "basic_auth_users: {bob: builder}")
        assert _status(url, "bob", "builder") == 500
    assert "must be a bcrypt hash" in (folder / "exporter.log").read_text()


def _trust(served: Certificate, own: Certificate | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=served.cert)
    if own:
        context.load_cert_chain(own.both)
    return context


def test_tls_with_client_certificates(folder: Path) -> None:
    """Plain HTTP and strangers are refused; relative files lie beside the configuration."""
    server, client = certificate(folder, "server"), certificate(folder, "client")
    web_config = (
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: client.crt\n"
        "  min_version: TLS13\n"
    )
    with _running(folder, web_config) as plain:
        url = f"{plain.replace('http:', 'https:')}/healthz"
        assert httpx.get(url, verify=_trust(server, client), timeout=60).text == "ok\n"
        with pytest.raises(httpx.HTTPError):
            httpx.get(url, verify=_trust(server), timeout=60)
        with pytest.raises(httpx.HTTPError):
            httpx.get(plain, timeout=60)
        old = _trust(server, client)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(httpx.ConnectError):
            httpx.get(url, verify=old, timeout=60)


def test_a_renewed_certificate_needs_no_restart(folder: Path) -> None:
    """A new connection gets the certificate that lies on the disk then, the last good if broken."""
    first = certificate(folder, "server")
    web_config = "tls_server_config: {cert_file: server.crt, key_file: server.key}"
    with _running(folder, web_config) as plain:
        url = f"{plain.replace('http:', 'https:')}/healthz"
        assert httpx.get(url, verify=_trust(first), timeout=60).is_success
        trust_first = _trust(first)
        second = certificate(folder, "server")
        assert httpx.get(url, verify=_trust(second), timeout=60).is_success
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(url, verify=trust_first, timeout=60)
        trust_second = _trust(second)
        second.key.write_text("half of a k")
        assert httpx.get(url, verify=trust_second, timeout=60).is_success
        assert "last good certificate" in (folder / "exporter.log").read_text()
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(url, verify=trust_first, timeout=60)


def test_a_policy_that_cannot_be_applied_lets_nobody_in(folder: Path) -> None:
    """What is asked of clients follows the file; where that cannot be done, none is taken."""
    server, client = certificate(folder, "server"), certificate(folder, "client")
    plain = "tls_server_config: {cert_file: server.crt, key_file: server.key"
    strict = f"{plain}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: client.crt}}"
    with _running(folder, f"{plain}}}") as http:
        url = f"{http.replace('http:', 'https:')}/healthz"
        stranger, known = _trust(server), _trust(server, client)
        assert httpx.get(url, verify=stranger, timeout=60).is_success
        _written(folder, strict)
        assert httpx.get(url, verify=known, timeout=60).is_success
        with pytest.raises(httpx.HTTPError):
            httpx.get(url, verify=stranger, timeout=60)
        _written(folder, f"{plain}}}")
        assert httpx.get(url, verify=stranger, timeout=60).is_success
        client.cert.unlink()
        _written(folder, strict)
        for each in (stranger, known):
            with pytest.raises(httpx.HTTPError):
                httpx.get(url, verify=each, timeout=60)
        assert "client.crt cannot be loaded" in (folder / "exporter.log").read_text()
        # Nor is TLS ever taken away.
        _written(folder, f"basic_auth_users: {{alice: '{_hash('wonder')}'}}")
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{http}/healthz", auth=("alice", "wonder"), timeout=60)


_VALID = [
    "basic_auth_users: {alice: $2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze}",
    "tls_server_config: {cert_file: server.crt, key_file: server.key, min_version: TLS12}",
    """
    tls_server_config:
      cert_file: server.crt
      key_file: server.key
      client_auth_type: RequireAndVerifyClientCert
      client_ca_file: server.crt
    """,
]


@pytest.mark.parametrize("text", _VALID)
def test_what_we_accept_prometheus_accepts(folder: Path, text: str) -> None:
    """`promtool check web-config` finds every file valid that the exporter finds valid."""
    certificate(folder, "server")
    file = _written(folder, text)
    WebConfigFile(file).read()
    check = ["promtool", "check", "web-config", str(file)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tls_server_config: {cert_file: a}", "tls_server_config.key_file is missing"),
        (
            "tls_server_config: {cert_file: a, key_file: b, cipher_suites: [x]}",
            "tls_server_config.cipher_suites is not a key here, the keys are cert_file, client_",
        ),
        ("http_server_config: {http2: true}", "http_server_config is not a key here"),
        ("rate_limit: {burst: 20}", "the keys are basic_auth_users, tls_server_config"),
        ("basic_auth_users: {alice: hunter2}", "alice must be a bcrypt hash, as `htpasswd"),
        (
            f"basic_auth_users: {{alice: $2y$15${'x' * 53}}}",
            "a cost of 14 or less",
        ),
        ("basic_auth_users: [alice]", "basic_auth_users must be a mapping"),
        (
            "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequestClientCert}",
            "client_auth_type must be 'NoClientCert', 'VerifyClientCertIfGiven' or",
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, client_ca_file: c}",
            "tls_server_config needs client_ca_file and a client_auth_type that verifies",
        ),
        ("tls_server_config: {cert_file: a, key_file: b, min_version: TLS10}", "'TLS12' or"),
        ("", "must be a mapping"),
    ],
)
def test_what_we_do_not_have_is_refused(folder: Path, text: str, said: str) -> None:
    """Everything of the format that flowgauge lacks, and every mistake, is named, not ignored."""
    with pytest.raises(UsageError) as error:
        WebConfigFile(_written(folder, text)).read()
    assert said in str(error.value)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("missing", ["server.crt", "server.key", "client.crt"])
def test_files_that_cannot_be_loaded_are_named(folder: Path, missing: str) -> None:
    """A certificate, key or CA file that is missing is named with its path."""
    certificate(folder, "server")
    certificate(folder, "client")
    (folder / missing).unlink()
    config = WebConfigFile(
        _written(
            folder,
            "tls_server_config: {cert_file: server.crt, key_file: server.key,"
            " client_auth_type: VerifyClientCertIfGiven, client_ca_file: client.crt}",
        )
    )
    with pytest.raises(UsageError, match=f"{missing}.*cannot be loaded"):
        ServerTls(config.tls)


@given(
    st.recursive(
        st.text(max_size=8),
        lambda inner: st.dictionaries(
            st.sampled_from(["tls_server_config", "basic_auth_users", "cert_file", "x"]),
            inner | st.lists(inner, max_size=2),
            max_size=3,
        ),
    )
)
def test_no_file_gives_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, content: object
) -> None:
    """Whatever a file holds, it is a configuration or one sentence."""
    file = tmp_path_factory.getbasetemp() / f"web-{os.getpid()}.yml"
    file.write_text(str(content))
    try:
        WebConfigFile(file).read()
    except FlowgaugeError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is fine
