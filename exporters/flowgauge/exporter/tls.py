"""TLS for the exporter."""

import ssl
from collections.abc import Callable
from pathlib import Path

from flowgauge.complaint import Complaint
from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.exporter.web_config import TlsServerConfig

__all__ = ["ServerTls"]

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_POLICIES = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}


class ServerTls:
    """How connections are secured, as *read* and the files say at each: no restart is needed.

    Raises `UsageError` naming a file that cannot be loaded at the start.
    """

    def __init__(self, read: Callable[[], TlsServerConfig | None]) -> None:
        self._read = read
        self._complaint = Complaint("Reading the TLS configuration")
        config = read()
        self._known = _Known(config, _stamps(config), _load(config)) if config else None

    def context(self) -> ssl.SSLContext | None:
        """Return the context for a new connection, None for plain HTTP.

        A certificate that cannot be loaded leaves the last good one in use, and so does a
        configuration that cannot be read or has no TLS any more. Raises `UsageError` where
        something else is asked of clients now, and that cannot be done.
        """
        try:
            config = self._read()
        except FlowgaugeError as error:
            return self._last(str(error))
        if config is None:
            return (
                self._last("it has none any more, restart to serve without")
                if self._known
                else None
            )
        stamps = _stamps(config)
        if self._known and (self._known.config, self._known.stamps) == (config, stamps):
            return self._known.context
        try:
            context = _load(config)
        except UsageError as error:
            if self._known and _policy(self._known.config) == _policy(config):
                return self._last(f"{error}; the last good certificate stays in use")
            raise
        self._complaint.settle()
        self._known = _Known(config, stamps, context)
        return context

    def _last(self, complaint: str) -> ssl.SSLContext | None:
        self._complaint.raise_(complaint)
        return self._known.context if self._known else None


class _Known:
    """The last good configuration."""

    def __init__(self, config: TlsServerConfig, stamps: "_Stamps", context: ssl.SSLContext) -> None:
        self.config = config
        self.stamps = stamps
        self.context = context


_Stamps = tuple[tuple[int, int] | None, ...]


def _stamps(config: TlsServerConfig | None) -> _Stamps:
    if config is None:
        return ()
    return tuple(map(_stamp, (config.cert_file, config.key_file, config.client_ca_file)))


def _stamp(file: Path | None) -> tuple[int, int] | None:
    try:
        status = file.stat() if file else None
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ino) if status else None


def _policy(config: TlsServerConfig) -> tuple[str, str, Path | None]:
    return config.client_auth_type, config.min_version, config.client_ca_file


def _load(config: TlsServerConfig) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[config.min_version]
    context.verify_mode = _POLICIES[config.client_auth_type]
    try:
        # Without a password OpenSSL would ask whoever is at the terminal.
        context.load_cert_chain(config.cert_file, config.key_file, "")
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
