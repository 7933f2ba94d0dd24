"""Label and field selectors, in the equality form that kubectl sends."""

from typing import Any

from server.objects import Object


def matches(value: Object, query: dict[str, str]) -> bool:
    """Whether an object is selected by a query's labelSelector and fieldSelector."""
    labels = value["metadata"].get("labels", {})
    return all(_holds(term, labels.get(_name(term))) for term in _terms(query.get("labelSelector", ""))) and all(
        _holds(term, _field(value, _name(term))) for term in _terms(query.get("fieldSelector", ""))
    )


def _terms(selector: str) -> list[str]:
    return [term.strip() for term in selector.split(",") if term.strip()]


def _name(term: str) -> str:
    return term.lstrip("!").split("!=")[0].split("=")[0].strip()


def _holds(term: str, actual: Any) -> bool:
    if "!=" in term:
        return str(actual) != term.split("!=", 1)[1]
    if "=" in term:
        return actual is not None and str(actual) == term.split("=", 1)[1].lstrip("=")
    return (actual is None) == term.startswith("!")


def _field(value: Object, path: str) -> Any:
    found: Any = value
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
