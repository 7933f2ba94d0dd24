"""The three kinds of patch that kubectl and kubelets send.

Strategic merge knows the lists of a Node that merge by a key (conditions and addresses by type); all others are
replaced whole, taints among them, as in the real schema. Left out: server-side apply, and the directives of strategic
merge apart from `$patch: delete` and `$patch: replace` (order and retained keys need no help here).
"""

from typing import Any

from server.messages import Refusal

_MERGE_KEYS = {"conditions": "type", "addresses": "type", "ownerReferences": "uid"}


def apply(kind: str, target: Any, patch: Any) -> Any:
    """The target after a patch of that content type; a Refusal for a kind that is not known or does not fit."""
    if kind == "application/merge-patch+json":
        return merge(target, patch)
    if kind == "application/strategic-merge-patch+json":
        return strategic(target, patch)
    if kind == "application/json-patch+json":
        return _json_patch(target, patch)
    known = "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json"
    raise Refusal(415, f"the body of the request was in an unknown format - accepted media types include: {known}")


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def strategic(target: Any, patch: Any, name: str = "") -> Any:
    """Kubernetes' merge: like `merge`, but lists with a merge key are merged element by element."""
    if isinstance(patch, list):
        return _merge_list(target, patch, _MERGE_KEYS[name]) if name in _MERGE_KEYS else patch
    if not isinstance(patch, dict):
        return patch
    replace = patch.get("$patch") == "replace"
    result = dict(target) if isinstance(target, dict) and not replace else {}
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            result.pop(key, None)
        else:
            result[key] = strategic(result.get(key), value, key)
    return result


def _merge_list(target: Any, patch: list[Any], key: str) -> list[Any]:
    result = list(target or [])
    for element in patch:
        matching = [i for i, known in enumerate(result) if known.get(key) == element.get(key)]
        if element.get("$patch") == "delete":
            result = [known for known in result if known.get(key) != element.get(key)]
        elif matching:
            result[matching[0]] = strategic(result[matching[0]], element)
        else:
            result.append(strategic({}, element))
    return result


def _json_patch(target: Any, patch: Any) -> Any:
    """RFC 6902: add, remove, replace and test. Move and copy are left out."""
    for step in patch:
        path = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
        try:
            target = _step(target, path, step["op"], step.get("value"))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise Refusal(422, f"the server rejected our request due to an error in our request: {error}") from error
    return target


def _step(target: Any, path: list[str], operation: str, value: Any) -> Any:
    head, rest = path[0], path[1:]
    result = list(target) if isinstance(target, list) else dict(target)
    place: Any = head
    if isinstance(result, list):
        place = len(result) if head == "-" else int(head)
    if rest:
        result[place] = _step(result[place], rest, operation, value)
    elif operation == "remove":
        del result[place]
    elif operation == "test":
        if result[place] != value:
            raise ValueError(f"testing value /{'/'.join(path)} failed")
    elif isinstance(result, list) and operation == "add":
        result.insert(place, value)
    elif operation in ("add", "replace"):
        if operation == "replace" and isinstance(result, dict):
            _ = result[place]  # A missing target is an error of the patch.
        result[place] = value
    else:
        raise ValueError(f"operation {operation} is not known to the stand-in")
    return result
