"""`k3s certificate check`: says until when each certificate of this machine holds.

Left out: the table format of --output, and `rotate`: a restart renews what is near its end.
"""

import time
from pathlib import Path

from common import flags, log, pki
from common.log import CommandError

_FILES = {
    "admin": ("server/tls/client-admin.crt",),
    "api-server": ("server/tls/serving-kube-apiserver.crt",),
    "kubelet": ("agent/client-kubelet.crt", "agent/serving-kubelet.crt"),
}
_DAY = 86400


def check(argv: list[str]) -> None:
    """Log a line for each certificate of each file, leaf and CA."""
    given = flags.parse(flags.CERTIFICATE_CHECK, argv)
    if given.text("output") != "text":
        raise CommandError("the stand-in knows --output text only")
    data_dir = Path(given.text("data-dir"))
    if (data_dir / "server" / "tls").is_dir():
        log.info("Server detected, checking agent and server certificates")
    else:
        log.info("Agent detected, checking agent certificates")
    for service in given.list("service") or list(_FILES):
        if service not in _FILES:
            raise CommandError(f"{service} is not a recognized service")
        paths = [data_dir / name for name in _FILES[service] if (data_dir / name).exists()]
        if paths:
            log.info(f"Checking certificates for {service}")
        for path in paths:
            for certificate in pki.split(path.read_bytes()):
                _report(path, pki.describe(certificate))


def _report(path: Path, known: pki.Description) -> None:
    left = known.not_after - time.time()
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(known.not_after))
    what = f"{path}: certificate {known.subject}"
    if left < 0:
        log.error(f"{what} expired at {end}")
    elif left < pki.RENEW_DAYS * _DAY:
        log.warning(f"{what} will expire within {pki.RENEW_DAYS} days at {end}")
    else:
        log.info(f"{what} is ok, expires at {end}")
