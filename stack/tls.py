"""Certificates for loopback, made on the spot."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from stack.process import LOOPBACK

__all__ = ["Certificate", "certificate"]


@dataclass(frozen=True)
class Certificate:
    """The PEM files of one self-signed certificate; `both` has key and certificate together."""

    cert: Path
    key: Path
    both: Path


def certificate(folder: Path, name: str = "localhost") -> Certificate:
    """Write a self-signed certificate for *name*, localhost and 127.0.0.1 to *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    cert_pem = signed.public_bytes(Encoding.PEM)
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    files = Certificate(folder / f"{name}.crt", folder / f"{name}.key", folder / f"{name}.pem")
    files.cert.write_bytes(cert_pem)
    files.key.write_bytes(key_pem)
    files.both.write_bytes(key_pem + cert_pem)
    return files
