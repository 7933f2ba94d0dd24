"""Join tokens: reading them from files, taking them apart, putting them together.

The grammar is K3s' own, with its oddities kept because people meet them: whatever does not begin with `K10` is one
long password (so `K3S10::server:x` is), a password may hold colons, and a kubeadm-shaped value is a bearer token that
no server accepts as its own. Left out: bearer tokens as credentials (`k3s token create`).
"""

import hashlib
import re
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

from common import log, pki, stopping

PREFIX = "K10"
_HASH_LENGTH = 64
_BOOTSTRAP = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")
_READ_LIMIT = 240.0
_READ_PERIOD = 2.0


class TokenError(ValueError):
    """A token that K3s refuses; the text is K3s'."""


@dataclass(frozen=True)
class JoinToken:
    """A token taken apart. The hash is empty in a short token; bearer is set for a kubeadm-shaped one only."""

    ca_hash: str
    user: str
    password: str
    bearer: str = ""


def parse(token: str) -> JoinToken:
    """Take a token apart, or raise TokenError."""
    if not token:
        raise TokenError("token must not be empty")
    if not token.startswith(PREFIX):
        token = PREFIX + ("::" if _BOOTSTRAP.fullmatch(token) else ":::") + token
    ca_hash, separator, credentials = token.removeprefix(PREFIX).partition("::")
    if not separator:
        ca_hash, credentials = "", ca_hash
    elif ca_hash and len(ca_hash) != _HASH_LENGTH:
        raise TokenError("invalid token CA hash length")
    if _BOOTSTRAP.fullmatch(credentials):
        return JoinToken(ca_hash, "", "", bearer=credentials)
    user, _, password = credentials.partition(":")
    if not password:
        raise TokenError("invalid token format")
    return JoinToken(ca_hash, user, password)


def server_password(token: str) -> str:
    """The password in a server's own token, or TokenError: a server takes no bearer token and no broken `K10…`."""
    refusal = "failed to normalize server token; must be in format K10<CA-HASH>::<USERNAME>:<PASSWORD> or <PASSWORD>"
    try:
        parsed = parse(token)
    except TokenError as error:
        raise TokenError(refusal) from error
    if parsed.bearer:
        raise TokenError(refusal)
    return parsed.password


def ca_hash(bundle: bytes) -> str:
    """The hash of a CA bundle: of the very bytes for one certificate, of the root's DER for several.

    A bundle of several is taken to end with its root, which is how K3s' own rotate-ca tooling writes it.
    """
    certificates = pki.split(bundle)
    if not certificates:
        raise TokenError("data does not contain any valid RSA or ECDSA certificates")
    data = bundle if len(certificates) == 1 else ssl.PEM_cert_to_DER_cert(certificates[-1].decode())
    return hashlib.sha256(data).hexdigest()


def full(bundle: bytes, user: str, password: str) -> str:
    """A full token."""
    return f"{PREFIX}{ca_hash(bundle)}::{user}:{password}"


def read_file(path: str) -> str:
    """The trimmed content of a token file, waiting for it as K3s does: two seconds at a time, four minutes in all."""
    deadline = time.monotonic() + _READ_LIMIT
    while time.monotonic() < deadline:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            # The newline is K3s' own: logrus shows it as \n inside the quotes.
            log.info(f"Waiting for {path} to be available\n")
            stopping.pause(_READ_PERIOD)
        except OSError as error:
            raise log.CommandError(f"open {path}: {(error.strerror or str(error)).lower()}") from error
    raise log.CommandError("Timeout while trying to read the file")
