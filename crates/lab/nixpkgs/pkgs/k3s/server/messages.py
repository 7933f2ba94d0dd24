"""Requests, replies and Kubernetes' Status objects: the words that listener, supervisor and API share."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    415: "UnsupportedMediaType",
    500: "InternalError",
    503: "ServiceUnavailable",
}


@dataclass(frozen=True)
class Identity:
    """Who a client certificate says the client is."""

    name: str
    groups: tuple[str, ...]

    @property
    def node(self) -> str:
        """The node that this identity is the kubelet of; empty if it is none."""
        return self.name.removeprefix("system:node:") if "system:nodes" in self.groups else ""


@dataclass(frozen=True)
class Request:
    """A request, read whole."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    remote: str
    identity: Identity | None = None

    def header(self, name: str) -> str:
        """A header's value, whatever the case of its name; empty when absent."""
        return self.headers.get(name.lower(), "")

    def json(self) -> Any:
        """The body as JSON; a 400 Refusal if it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Refusal(400, f"the body of the request was in an unknown format: {error}") from error


@dataclass(frozen=True)
class Reply:
    """A reply: a body, or for watches a stream of chunks."""

    status: int
    body: bytes
    content_type: str = "application/json"
    stream: Iterator[bytes] | None = field(default=None, compare=False)


class Refusal(Exception):
    """An error that is answered with a Status object."""

    def __init__(
        self, status: int, message: str, reason: str | None = None, details: dict[str, str] | None = None
    ) -> None:
        """An error; its reason follows from the status unless it is given. An empty one is left out."""
        super().__init__(message)
        self.status = status
        self.reason = _REASONS.get(status, "Unknown") if reason is None else reason
        self.details = details

    def reply(self) -> Reply:
        """The Status object to send."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            **({"reason": self.reason} if self.reason else {}),
            "code": self.status,
        }
        if self.details:
            body["details"] = self.details
        return json_reply(body, self.status)


def json_reply(value: Any, status: int = 200) -> Reply:
    """A JSON reply."""
    return Reply(status, (json.dumps(value, separators=(",", ":")) + "\n").encode())


def text_reply(text: str | bytes, status: int = 200) -> Reply:
    """A plain text reply."""
    return Reply(status, text.encode() if isinstance(text, str) else text, "text/plain; charset=utf-8")
