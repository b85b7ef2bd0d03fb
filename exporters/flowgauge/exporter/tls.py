"""TLS for the exporter."""

import logging
import ssl
from collections.abc import Callable
from pathlib import Path

from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.exporter.web_config import TlsServerConfig

__all__ = ["server_context"]

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_POLICIES = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_log = logging.getLogger(__name__)


def server_context(read: Callable[[], TlsServerConfig | None]) -> ssl.SSLContext | None:
    """Return the context that *read* asks for, None for plain HTTP.

    Every handshake takes the certificate as *read* and the files give it then, so that a renewed
    one needs no restart; the policy for client certificates stays as it was at the start.
    Raises `UsageError` naming a file that cannot be loaded.
    """
    config = read()
    if config is None:
        return None
    context = _load(config)

    def renew(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        try:
            if renewed := read():
                connection.context = _load(renewed)
        except FlowgaugeError as error:
            _log.warning("The certificate stays as it was: %s", error)

    context.sni_callback = renew
    return context


def _load(config: TlsServerConfig) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[config.min_version]
    context.verify_mode = _POLICIES[config.client_auth_type]
    try:
        context.load_cert_chain(config.cert_file, config.key_file)
    except (OSError, ssl.SSLError) as error:
        raise _unusable(error, config.cert_file, config.key_file) from None
    if config.client_ca_file:
        try:
            context.load_verify_locations(config.client_ca_file)
        except (OSError, ssl.SSLError) as error:
            raise _unusable(error, config.client_ca_file) from None
    return context


def _unusable(error: OSError, *files: Path) -> UsageError:
    reason = getattr(error, "reason", None) or error.strerror or "not PEM"
    return UsageError(
        f"{' and '.join(map(str, files))} cannot be loaded ({reason}): "
        "tls_server_config needs readable PEM files that belong together"
    )
