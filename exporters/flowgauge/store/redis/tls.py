"""TLS to a Redis."""

import ssl
from collections.abc import Mapping
from socket import socket
from typing import Any

__all__ = ["over_tls"]


def over_tls(options: Mapping[str, Any], host: str, plain: socket) -> socket:
    """Return *plain* with TLS to *host*, as the options of a store's URL say; raise `OSError`."""
    context = ssl.create_default_context()
    needs = options.get("ssl_cert_reqs", "required")
    context.check_hostname = options.get("ssl_check_hostname", True) and needs != "none"
    context.verify_mode = ssl.VerifyMode[f"CERT_{needs.upper()}"]
    if certificate := options.get("ssl_certfile"):
        context.load_cert_chain(
            certificate, options.get("ssl_keyfile"), options.get("ssl_password")
        )
    trusted = options.get("ssl_ca_certs"), options.get("ssl_ca_path")
    if any(trusted):
        context.load_verify_locations(*trusted)
    return context.wrap_socket(plain, server_hostname=host)
