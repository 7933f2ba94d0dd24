"""The time, as Kubernetes writes it."""

from datetime import UTC, datetime


def now() -> str:
    """The time to the second, as in metadata and conditions."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now_micro() -> str:
    """The time to the microsecond, as in leases."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
