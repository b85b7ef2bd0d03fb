"""TLS to a Redis."""

import ssl
from collections.abc import Mapping
from socket import socket
from typing import Any

from flowgauge.store.redis.connections import seconds_left

__all__ = ["over_tls"]


def over_tls(options: Mapping[str, Any], host: str, plain: socket) -> socket:
    """Return *plain* with TLS to *host*, as the options of a store's URL say; raise `OSError`."""
    context = ssl.create_default_context()
    needs = options.get("ssl_cert_reqs", "required")
    context.check_hostname = options.get("ssl_check_hostname", True) and needs != "none"
    context.verify_mode = ssl.VerifyMode[f"CERT_{needs.upper()}"]
    _read_files(context, options)
    plain.settimeout(seconds_left())
    return context.wrap_socket(plain, server_hostname=host)


def _read_files(context: ssl.SSLContext, options: Mapping[str, Any]) -> None:
    """Read the files that are named; the sentence of an `OSError` tells which cannot be."""
    names = "ssl_ca_certs, ssl_ca_path"
    try:
        trusted = options.get("ssl_ca_certs"), options.get("ssl_ca_path")
        if any(trusted):
            context.load_verify_locations(*trusted)
        names = "ssl_certfile, ssl_keyfile, ssl_password"
        if certificate := options.get("ssl_certfile"):
            # Without a password OpenSSL would ask whoever is at the terminal.
            password = options.get("ssl_password", "")
            context.load_cert_chain(certificate, options.get("ssl_keyfile"), password)
    except OSError as error:
        raise OSError(f"check {names} ({error.strerror or error})") from error
