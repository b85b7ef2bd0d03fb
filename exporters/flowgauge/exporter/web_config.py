"""`--web.config.file`: TLS and basic auth, in the format of all Prometheus exporters.

Format: https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md
What of it flowgauge does not have is refused, never ignored.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from flowgauge.strict_yaml import read_model

__all__ = ["TlsServerConfig", "WebConfig", "WebConfigFile"]

_BCRYPT = re.compile(r"\$2[aby]\$(?P<cost>0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
# A second or so for each login; one more is twice as long.
_HIGHEST_COST = 14


def _bcrypt_hash(value: str) -> str:
    match = _BCRYPT.fullmatch(value)
    if not match:
        raise ValueError("must be a bcrypt hash, as `htpasswd -nBC 10 USER` prints it")
    if int(match["cost"]) > _HIGHEST_COST:
        raise ValueError(f"must be a bcrypt hash of a cost of {_HIGHEST_COST} or less: 10 is usual")
    return value


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class TlsServerConfig(_Section):
    """TLS; relative file names are relative to the configuration file."""

    cert_file: Path
    key_file: Path
    client_auth_type: Literal[
        "NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"
    ] = "NoClientCert"
    client_ca_file: Path | None = None
    min_version: Literal["TLS12", "TLS13"] = "TLS12"

    @model_validator(mode="after")
    def _ca_and_policy_belong_together(self) -> Self:
        if (self.client_ca_file is None) != (self.client_auth_type == "NoClientCert"):
            raise ValueError(
                "needs client_ca_file and a client_auth_type that verifies, or neither of them"
            )
        return self


class WebConfig(_Section):
    """The whole file; `basic_auth_users` maps a name to the bcrypt hash of its password."""

    tls_server_config: TlsServerConfig | None = None
    basic_auth_users: dict[str, Annotated[str, AfterValidator(_bcrypt_hash)]] = Field(
        default_factory=dict
    )


class WebConfigFile:
    """A configuration file that may change while the exporter runs; or none, which asks nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._config = WebConfig()

    def read(self) -> WebConfig:
        """Return the file as it is now; raise `UsageError` for one that is not valid."""
        if self._path is None:
            return self._config
        stamp = _stamp(self._path)
        if stamp is None or stamp != self._stamp:
            self._config = _anchored(read_model(self._path, WebConfig), self._path.parent)
            self._stamp = stamp
        return self._config

    def tls(self) -> TlsServerConfig | None:
        """Return what the file says about TLS now."""
        return self.read().tls_server_config

    def users(self) -> Mapping[str, str]:
        """Return the names and bcrypt hashes that the file has now."""
        return self.read().basic_auth_users


def _anchored(config: WebConfig, folder: Path) -> WebConfig:
    tls = config.tls_server_config
    if tls is None:
        return config
    names = ("cert_file", "key_file", "client_ca_file")
    files = {name: folder / path for name in names if (path := getattr(tls, name))}
    return config.model_copy(update={"tls_server_config": tls.model_copy(update=files)})


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
