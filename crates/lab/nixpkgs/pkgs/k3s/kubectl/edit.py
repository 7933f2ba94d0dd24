"""`kubectl label`, `annotate`, `taint`, `cordon`, `uncordon` and `delete`: what changes nodes. For `drain` see drain.py."""

import re
import sys
from typing import Any

from common import settings
from kubectl import resources
from kubectl.arguments import Arguments, Failure
from kubectl.client import Api
from kubectl.resources import NODES

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_LABEL = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"


def label(arguments: Arguments) -> None:
    """`label node NAME… KEY=VALUE… KEY-… [--overwrite]`."""
    words, changes = _split(arguments.words)
    resource, names = resources.targets(words)
    if not changes:
        raise Failure("error: at least one label update is required")
    for one in changes:
        _check_label(one)
    api = Api(arguments)
    for name in names:
        before = api.get(resource.path(resources.namespace(arguments), name))["metadata"].get("labels", {})
        patch: dict[str, str | None] = {}
        for one in changes:
            key, has_value, value = one.partition("=")
            key = key if has_value else key.removesuffix("-")
            if not has_value and key not in before:
                print(f'label "{key}" not found.')
            elif has_value and before.get(key, value) != value and not arguments.on("overwrite"):
                text = f"error: '{key}' already has a value ({before[key]}), and --overwrite is false"
                raise Failure(text)
            elif has_value and before.get(key) != value:
                patch[key] = value
            elif not has_value:
                patch[key] = None
        if patch:
            api.patch(resource.path(resources.namespace(arguments), name), {"metadata": {"labels": patch}})
        done = "unlabeled" if patch and None in patch.values() else "labeled" if patch else "not labeled"
        print(f"{resource.reference(name)} {done}")


def annotate(arguments: Arguments) -> None:
    """`annotate node NAME… KEY=VALUE… KEY-… [--overwrite]`."""
    words, changes = _split(arguments.words)
    resource, names = resources.targets(words)
    if not changes:
        raise Failure("error: at least one annotation update is required")
    api = Api(arguments)
    for name in names:
        path = resource.path(resources.namespace(arguments), name)
        before = api.get(path)["metadata"].get("annotations", {})
        patch: dict[str, str | None] = {}
        for one in changes:
            key, has_value, value = one.partition("=")
            key = key if has_value else key.removesuffix("-")
            if has_value and before.get(key, value) != value and not arguments.on("overwrite"):
                raise Failure("error: --overwrite is false but found the following declared annotation(s): " + repr(key))
            patch[key] = value if has_value else None
        api.patch(path, {"metadata": {"annotations": patch}})
        print(f"{resource.reference(name)} annotated")


def taint(arguments: Arguments) -> None:
    """`taint nodes NAME… KEY=VALUE:EFFECT… KEY[:EFFECT]-… [--overwrite]`."""
    words, changes = _split(arguments.words, extra=":")
    resource, names = resources.targets(words)
    if resource is not NODES:
        raise Failure(f"error: invalid resource type {resource.plural}, only node types are supported")
    if not changes:
        raise Failure("error: at least one taint update is required")
    parsed = [_parse_taint(one) for one in changes]
    api = Api(arguments)
    for name in names:
        node = api.get(resource.path(name=name))
        before = node.get("spec", {}).get("taints", [])
        after, done = _retaint(name, before, parsed, arguments.on("overwrite"))
        api.patch(resource.path(name=name), {"spec": {"taints": after or None}})
        print(f"{resource.reference(name)} {done}")


def cordon(arguments: Arguments, unschedulable: bool) -> None:
    """`cordon NAME` and `uncordon NAME`."""
    verb = "cordon" if unschedulable else "uncordon"
    api = Api(arguments)
    for name in node_names(arguments, verb):
        set_unschedulable(api, name, unschedulable)


def delete(arguments: Arguments) -> None:
    """`delete TYPE NAME… [--ignore-not-found]`."""
    resource, names = resources.targets(arguments.words)
    if not names:
        raise Failure("error: resource(s) were provided, but no name was specified")
    api, namespace = Api(arguments), resources.namespace(arguments)
    missing: list[Failure] = []
    for name in names:
        try:
            api.delete(resource.path(namespace, name))
        except Failure as failure:
            if "(NotFound)" not in str(failure):
                raise
            missing += [] if arguments.on("ignore-not-found") else [failure]
            continue
        # kubectl says where an object was since 1.34.
        where = f" from {namespace} namespace" if resource.namespaced and settings.kubernetes_minor() >= 34 else ""
        kind = f"{resource.singular}.{resource.group}" if resource.group else resource.singular
        print(f'{kind} "{name}" deleted{where}')
    if missing:
        raise Failure("\n".join(map(str, missing)))


def _split(words: list[str], extra: str = "") -> tuple[list[str], list[str]]:
    """Names, then changes: the first word with a `=` (or `:`) in it or a `-` at its end begins the changes."""
    for i, word in enumerate(words):
        if "=" in word or word.endswith("-") or (extra and extra in word):
            return words[:i], words[i:]
    return words, []


def _check_label(change: str) -> None:
    key, has_value, value = change.partition("=")
    key = key if has_value else key.removesuffix("-")
    if not re.fullmatch(rf"([a-z0-9.-]+/)?{_LABEL}", key):
        raise Failure(f"error: invalid label spec: {change}")
    if value and not re.fullmatch(_LABEL, value):
        text = f'error: invalid label value: "{change}": a valid label must be an empty string or consist of '
        text += "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
        text += "(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
        raise Failure(text + "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')")


def _parse_taint(change: str) -> tuple[str, str, str, bool]:
    """A taint's key, value, effect (empty: all), and whether it goes."""
    removed = change.endswith("-")
    pair, colon, effect = change.removesuffix("-").partition(":")
    key, _, value = pair.partition("=")
    if (not removed and not colon) or (effect and effect not in _EFFECTS):
        what = f"effect: {effect}, unsupported taint effect" if effect else f"spec: {change}"
        raise Failure(f"error: invalid taint {what}\nSee 'kubectl taint -h' for help and examples")
    return key, value, effect, removed


def _retaint(
    name: str, before: list[dict[str, Any]], changes: list[tuple[str, str, str, bool]], overwrite: bool
) -> tuple[list[dict[str, Any]], str]:
    """The taints after the changes, and the word for what happened."""
    after, kinds = list(before), set()
    for key, value, effect, removed in changes:
        same = [one for one in after if one["key"] == key and effect in ("", one["effect"])]
        if removed:
            if not same:
                raise Failure(f'error: taint "{key}{":" + effect if effect else ""}" not found')
        elif same and not overwrite:
            raise Failure(f"error: node {name} already has {key} taint(s) with same effect(s) and --overwrite is false")
        kinds.add("untainted" if removed else "modified" if same else "tainted")
        after = [one for one in after if one not in same]
        if not removed:
            after.append({"key": key, **({"value": value} if value else {}), "effect": effect})
    return after, kinds.pop() if len(kinds) == 1 else "modified"


def node_names(arguments: Arguments, verb: str) -> list[str]:
    """The nodes that `cordon`, `uncordon` and `drain` name."""
    if not arguments.words and not arguments.text("selector"):
        raise Failure(f"error: USAGE: {verb} NODE [flags]\nSee 'kubectl {verb} -h' for help and examples")
    return [word.removeprefix("node/") for word in arguments.words]


def set_unschedulable(api: Api, name: str, wanted: bool) -> None:
    """Cordon a node or undo that, and say so."""
    node = api.get(NODES.path(name=name))
    word = "cordoned" if wanted else "uncordoned"
    if bool(node.get("spec", {}).get("unschedulable")) == wanted:
        print(f"node/{name} already {word}")
    else:
        api.patch(NODES.path(name=name), {"spec": {"unschedulable": wanted or None}})
        print(f"node/{name} {word}")
    sys.stdout.flush()
