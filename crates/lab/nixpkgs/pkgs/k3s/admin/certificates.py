"""`k3s certificate check`: says until when each certificate of this machine holds.

Left out: the formats json and yaml, the certificates of components that do not exist here, and `rotate`: a restart
renews what is near its end.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from common import flags, log, pki, settings
from common.log import CommandError

_SERVER = {
    "api-server": ("server/tls/serving-kube-apiserver.crt",),
    "admin": ("server/tls/client-admin.crt",),
    "etcd": tuple(f"server/tls/etcd/{name}.crt" for name in ("client", "server-client", "peer-server-client")),
}
_AGENT = {"kubelet": ("agent/client-kubelet.crt", "agent/serving-kubelet.crt")}
_DAY = 86400
_MONTH = 30 * _DAY
_YEAR = 12 * _MONTH


@dataclass(frozen=True)
class _Certificate:
    file: str
    known: pki.Description

    @property
    def name(self) -> str:
        """The subject's common name."""
        parts = dict(part.split("=", 1) for part in self.known.subject.split(",") if "=" in part)
        return parts.get("CN", "")

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self.known.not_after - _now()

    @property
    def status(self) -> str:
        """K3s' word for how it stands."""
        if _now() < self.known.not_before:
            return "NOT YET VALID"
        return "EXPIRED" if self.left < 0 else "WARNING" if self.left < pki.RENEW_DAYS * _DAY else "OK"

    @property
    def moment(self) -> time.struct_time:
        """What it is about: the beginning of one that is not valid yet, else the end."""
        not_yet = self.status == "NOT YET VALID"
        return time.gmtime(self.known.not_before if not_yet else self.known.not_after)


def check(argv: list[str]) -> None:
    """Tell of each certificate of each file, leaf and CA."""
    given = flags.parse(flags.CERTIFICATE_CHECK, argv)
    formats = {"text": _as_text, "table": _as_table}
    if given.text("output") not in formats:
        raise CommandError(f"invalid output format {given.text('output')}")
    data_dir = Path(given.text("data-dir"))
    services = given.list("service")
    for service in services:
        if service not in _SERVER | _AGENT:
            raise CommandError(f"service {service} is not recognized")
    if not services:
        is_server = (data_dir / "server").is_dir()
        what = "Server detected, checking agent and server" if is_server else "Agent detected, checking agent"
        log.info(f"{what} certificates")
        services = list(_SERVER | _AGENT if is_server else _AGENT)
    files = [data_dir / name for service in services for name in (_SERVER | _AGENT)[service]]
    found = [
        _Certificate(path.name, pki.describe(one))
        for path in files
        if path.exists()
        for one in pki.split(path.read_bytes())
    ]
    formats[given.text("output")](found)


def _now() -> float:
    return time.time() + settings.CLOCK_SKEW


def _as_text(found: list[_Certificate]) -> None:
    for one in found:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", one.moment)
        what = f"{one.file}: certificate {one.name} ({','.join(one.known.usages)})"
        match one.status:
            case "NOT YET VALID":
                log.error(f"{what} is not valid before {when}")
            case "EXPIRED":
                log.error(f"{what} expired at {when}")
            case "WARNING":
                log.warning(f"{what} will expire within {pki.RENEW_DAYS} days at {when}")
            case _:
                log.info(f"{what} is ok, expires at {when}")


def _as_table(found: list[_Certificate]) -> None:
    lines = [["FILENAME", "SUBJECT", "USAGES", "EXPIRES", "RESIDUAL TIME", "STATUS"]]
    lines.append(["-" * len(title) for title in lines[0]])
    for one in found:
        when = time.strftime("%b %d, %Y %H:%M UTC", one.moment)
        lines.append([one.file, one.name, ",".join(one.known.usages), when, _residue(one.left), one.status])
    widths = [max(len(line[i]) for line in lines) + 3 for i in range(5)]
    print()
    for line in lines:
        print("".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)) + line[5])


def _residue(seconds: float) -> str:
    """A span in one unit, as the library says it that K3s uses; the blank at the end is where it says `ago`."""
    seconds = int(abs(seconds))
    if 18 * _MONTH <= seconds < 2 * _YEAR:
        return "2 years "
    units = ((_YEAR, "year"), (_MONTH, "month"), (7 * _DAY, "week"), (_DAY, "day"), (3600, "hour"), (60, "minute"))
    for size, name in (*units, (1, "second")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {name}{'s' if count > 1 else ''} "
    return "now"
