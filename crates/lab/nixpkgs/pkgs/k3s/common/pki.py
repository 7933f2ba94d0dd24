"""Keys and certificates, made with the openssl command line.

Python's standard library can use certificates but not make them. Each function starts one or two short openssl
processes; a first server start makes about fifteen, a restart none unless a certificate nears its end. All keys are
EC P-256 like K3s'. Nothing secret is in an argv: keys are named by their files.

Left out: the request-header, etcd and service-account keys, and the dozen client certificates of components that do
not exist here.
"""

import os
import re
import secrets
import subprocess
import time
from calendar import timegm
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path

from common import log, settings

CA_DAYS = 3650
RENEW_DAYS = 120
_DAY = 86400
_USAGES = {
    "Certificate Sign": "CertSign",
    "TLS Web Server Authentication": "ServerAuth",
    "TLS Web Client Authentication": "ClientAuth",
}


class PkiError(Exception):
    """openssl failed."""


@dataclass(frozen=True)
class Subject:
    """A certificate's subject."""

    name: str
    organization: str = ""

    def __str__(self) -> str:
        return f"CN={self.name}" + (f",O={self.organization}" if self.organization else "")

    @property
    def argument(self) -> str:
        """The subject in openssl's form."""
        return (f"/O={self.organization}" if self.organization else "") + f"/CN={self.name}"


@dataclass(frozen=True)
class Authority:
    """A CA on disk: `<stem>.crt` and `<stem>.key`."""

    stem: Path

    @property
    def certificate(self) -> Path:
        """The CA's certificate."""
        return self.stem.with_name(self.stem.name + ".crt")

    @property
    def key(self) -> Path:
        """The CA's key."""
        return self.stem.with_name(self.stem.name + ".key")

    def ensure(self, name: str) -> None:
        """Make the CA if it does not exist. Its name carries the time of its birth, as K3s' does."""
        if self.certificate.exists() and self.key.exists():
            return
        ensure_key(self.key)
        subject = Subject(f"{name}@{int(time.time())}")
        usages = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,digitalSignature,keyEncipherment,keyCertSign\n"
        extensions = usages + "subjectKeyIdentifier=hash\n"
        certificate = _sign(
            _request(self.key, subject), subject, extensions, CA_DAYS, ["-signkey", str(self.key)], "PEM"
        )
        self.certificate.write_bytes(certificate)
        self.certificate.chmod(0o644)
        log.info(f"generated self-signed CA certificate {subject}: {_validity(CA_DAYS)}")

    @cached_property
    def subject(self) -> str:
        """The CA's subject."""
        return describe(self.certificate.read_bytes()).subject

    def sign(
        self, request: bytes, subject: Subject, usage: str, names: list[str], form: str = "DER", name: str = ""
    ) -> bytes:
        """Sign a request under our own subject and names, whatever it asks for; the result carries the CA along.

        The name is that of the file to be, for which the lab may want another validity.
        """
        special = settings.certificate_days(name)
        days = settings.leaf_days() if special is None else special
        extensions = "keyUsage=critical,digitalSignature,keyEncipherment\n" + f"extendedKeyUsage={usage}\n"
        extensions += "authorityKeyIdentifier=keyid\n"
        if names:
            extensions += f"subjectAltName={','.join(map(_alternative_name, names))}\n"
        signer = ["-CA", str(self.certificate), "-CAkey", str(self.key)]
        certificate = _sign(request, subject, extensions, days, signer, form)
        log.info(f"certificate {subject} signed by {self.subject}: {_validity(days)}")
        return certificate + self.certificate.read_bytes()


@dataclass(frozen=True)
class Description:
    """What the first certificate of a PEM bundle says; times are seconds since the epoch, usages are K3s' words."""

    subject: str
    usages: tuple[str, ...]
    not_before: int
    not_after: int
    names: frozenset[str]


def ensure_key(path: Path) -> None:
    """Make a P-256 key at path, 0600, if there is none."""
    if not path.exists():
        _openssl(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(path)])


def request_der(key: Path) -> bytes:
    """A DER signing request without a name: the supervisor gives the name itself."""
    return _openssl(["req", "-new", "-config", "/dev/null", "-key", str(key), "-subj", "/", "-outform", "DER"])


def ensure_leaf(authority: Authority, stem: Path, subject: Subject, usage: str, names: list[str]) -> None:
    """Make `<stem>.crt` and `<stem>.key`, or remake the certificate when a name is missing or its end is near."""
    certificate, key = stem.with_name(stem.name + ".crt"), stem.with_name(stem.name + ".key")
    if certificate.exists() and key.exists():
        known = describe(certificate.read_bytes())
        fresh = known.not_after - time.time() > RENEW_DAYS * _DAY and settings.certificate_days(stem.name) is None
        if fresh and frozenset(map(_canonical, names)) <= known.names:
            return
    ensure_key(key)
    certificate.write_bytes(authority.sign(_request(key, subject), subject, usage, names, "PEM", stem.name))
    certificate.chmod(0o644)


def split(bundle: bytes) -> list[bytes]:
    """The certificates of a PEM bundle."""
    return re.findall(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", bundle, re.DOTALL)


def describe(bundle: bytes) -> Description:
    """Read subject, validity and alternative names of the first certificate in a PEM bundle."""
    wanted = "subjectAltName,keyUsage,extendedKeyUsage"
    options = ["-noout", "-subject", "-startdate", "-enddate", "-ext", wanted, "-nameopt", "RFC2253"]
    text = _openssl(["x509", *options], bundle).decode()
    found = {name: _line(text, name) for name in ("subject", "notBefore", "notAfter")}
    names = re.findall(r"(?:DNS|IP Address):([^,\s]+)", text)
    return Description(
        subject=found["subject"],
        usages=tuple(word for said, word in _USAGES.items() if said in text) or ("Unknown",),
        not_before=_time(found["notBefore"]),
        not_after=_time(found["notAfter"]),
        names=frozenset(map(_canonical, names)),
    )


def _request(key: Path, subject: Subject) -> bytes:
    return _openssl(["req", "-new", "-config", "/dev/null", "-key", str(key), "-subj", subject.argument])


def _sign(request: bytes, subject: Subject, extensions: str, days: int, signer: list[str], form: str) -> bytes:
    # The extensions go through a memory file: x509 takes them from a path only, and standard input is the request.
    handle = os.memfd_create("extensions")
    try:
        os.write(handle, extensions.encode())
        arguments = ["x509", "-req", "-inform", form, "-subj", subject.argument]
        arguments += ["-set_serial", f"0x{secrets.token_hex(8)}", "-extfile", f"/proc/self/fd/{handle}", *signer]
        try:
            return _openssl([*arguments, "-days", str(days)], request, keep=handle)
        except PkiError:
            if days > 0:
                raise
            # Debian 13's makes none that ends before it begins, and 12's cannot be told when it begins.
            first, last = (_stamp(time.time() + at * _DAY) for at in (days - 1, days))
            return _openssl([*arguments, "-not_before", first, "-not_after", last], request, keep=handle)
    finally:
        os.close(handle)


def _openssl(arguments: list[str], data: bytes = b"", keep: int | None = None) -> bytes:
    done = subprocess.run(
        ["openssl", *arguments],
        input=data,
        capture_output=True,
        check=False,
        timeout=20,
        umask=0o077,
        pass_fds=() if keep is None else (keep,),
    )
    if done.returncode != 0:
        raise PkiError(f"openssl {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _alternative_name(name: str) -> str:
    try:
        return f"IP:{ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"


def _canonical(name: str) -> str:
    try:
        return str(ip_address(name))
    except ValueError:
        return name


def _line(text: str, name: str) -> str:
    return next(line.partition("=")[2].strip() for line in text.splitlines() if line.startswith(f"{name}="))


def _time(text: str) -> int:
    return timegm(time.strptime(text, "%b %d %H:%M:%S %Y GMT"))


def _stamp(seconds: float) -> str:
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(seconds))


def _validity(days: int) -> str:
    """The validity of a certificate made just now, for the log; not worth another process to read it back."""
    shape, start = "%Y-%m-%d %H:%M:%S +0000 UTC", time.time()
    first, last = time.gmtime(start), time.gmtime(start + days * _DAY)
    return f"notBefore={time.strftime(shape, first)} notAfter={time.strftime(shape, last)}"
