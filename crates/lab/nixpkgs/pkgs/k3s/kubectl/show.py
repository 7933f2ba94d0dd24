"""`kubectl get`, `describe node` and `config view`: what only reads."""

from typing import Any

from common import kubeconfig
from kubectl import resources
from kubectl.arguments import Arguments, Failure
from kubectl.client import Api, config_path
from kubectl.resources import Resource

_NOTHING_ASKED = """\
You must specify the type of resource to get. Use "kubectl api-resources" for a complete list of supported resources.

error: Required resource not specified.
Use "kubectl explain <resource>" for a detailed description of that resource (e.g. kubectl explain pods).
See 'kubectl get -h' for help and examples"""
_OUTPUTS = ("", "json", "name", "wide")


def get(arguments: Arguments) -> None:
    """`get --raw PATH`, or `get TYPE [NAME…]`."""
    if arguments.text("raw"):
        print(Api(arguments).raw(arguments.text("raw")).decode(), end="")
        return
    if not arguments.words:
        raise Failure(_NOTHING_ASKED)
    if arguments.text("output") not in _OUTPUTS:
        text = f'error: unable to match a printer suitable for the output format "{arguments.text("output")}", '
        raise Failure(text + "allowed formats are: json,name,wide")
    kinds, names = resources.several(arguments.words)
    if arguments.text("output") in ("json", "name"):
        _print_objects(arguments, kinds, names)
    elif len(kinds) == 1:
        _print_table(arguments, kinds[0], names)
    else:
        raise Failure("error: the stand-in prints several types as json or name only")


def config_view(arguments: Arguments) -> None:
    """`config view [--raw] [-o json]`."""
    path = config_path(arguments)
    if path is None:
        print('apiVersion: v1\nclusters: null\ncontexts: null\ncurrent-context: ""\nkind: Config\nusers: null')
        return
    if arguments.text("output") == "json":
        print(kubeconfig.dump(kubeconfig.as_json(path, arguments.on("raw"))))
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        name, separator, _ = line.partition("-data: ")
        print(line if arguments.on("raw") or not separator else f"{name}-data: DATA+OMITTED")


def describe(arguments: Arguments) -> None:
    """`describe node NAME…`, the parts that concern an operator."""
    resource, names = resources.targets(arguments.words)
    if resource is not resources.NODES:
        raise Failure(f"error: the stand-in describes nodes only, not {resource.plural}")
    api = Api(arguments)
    nodes = [api.get(resource.path(name=name)) for name in names] or api.get(resource.path())["items"]
    print("\n\n".join("\n".join(_description(node)) for node in nodes))


def _query(arguments: Arguments) -> dict[str, str]:
    pairs = {"labelSelector": arguments.text("selector"), "fieldSelector": arguments.text("field-selector")}
    return {"limit": "500"} | {name: value for name, value in pairs.items() if value}


def _print_objects(arguments: Arguments, kinds: list[Resource], names: list[str]) -> None:
    api = Api(arguments)
    try:
        found = [(kind, one) for kind in kinds for one in _objects(arguments, api, kind, names)]
    except Failure:
        # Of a server that answers with an error kubectl prints what it got: nothing, as a list.
        if api.answered and not names and arguments.text("output") == "json":
            _print_list([])
        raise
    if arguments.text("output") == "name":
        print("".join(kind.reference(one["metadata"]["name"]) + "\n" for kind, one in found), end="")
    elif len(names) == 1 and len(found) == 1:
        print(kubeconfig.dump(_sorted(found[0][1])))
    else:
        _print_list([one for _, one in found])


def _print_list(items: list[dict[str, Any]]) -> None:
    whole = {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}
    print(kubeconfig.dump(_sorted(whole)))


def _objects(arguments: Arguments, api: Api, resource: Resource, names: list[str]) -> list[dict[str, Any]]:
    namespace = resources.namespace(arguments)
    if names:
        return [api.get(resource.path(namespace, name)) for name in names]
    listed = api.get(resource.path(namespace), _query(arguments))
    kind = listed["kind"].removesuffix("List")
    return [{"apiVersion": listed["apiVersion"], "kind": kind, **one} for one in listed["items"]]


def _print_table(arguments: Arguments, resource: Resource, names: list[str]) -> None:
    api, namespace = Api(arguments), resources.namespace(arguments)
    tables = [api.table(resource.path(namespace, name), {}) for name in names]
    tables = tables or [api.table(resource.path(namespace), _query(arguments))]
    rows = [row for table in tables for row in table["rows"]]
    if not rows:
        where = f" in {namespace} namespace." if resource.namespaced and namespace else ""
        raise Failure(f"No resources found{where}", code=0)
    wide = arguments.text("output") == "wide"
    columns = [i for i, one in enumerate(tables[0]["columnDefinitions"]) if wide or not one["priority"]]
    head = [tables[0]["columnDefinitions"][i]["name"].upper() for i in columns]
    lines = [[str(row["cells"][i]) for i in columns] for row in rows]
    if resource.namespaced and not namespace:
        head = ["NAMESPACE", *head]
        lines = [[row["object"]["metadata"]["namespace"], *line] for row, line in zip(rows, lines, strict=True)]
    if arguments.on("show-labels"):
        head = [*head, "LABELS"]
        lines = [[*line, _comma(row["object"]["metadata"])] for row, line in zip(rows, lines, strict=True)]
    _print_columns(lines if arguments.on("no-headers") else [head, *lines])


def _print_columns(lines: list[list[str]]) -> None:
    widths = [max(len(line[i]) for line in lines) + 3 for i in range(len(lines[0]))]
    for line in lines:
        cells = [cell.ljust(max(width, 6)) for cell, width in zip(line[:-1], widths, strict=False)]
        print("".join(cells) + line[-1])


def _description(node: dict[str, Any]) -> list[str]:
    metadata, spec, status = node["metadata"], node.get("spec", {}), node.get("status", {})
    labels = [f"{key}={value}" for key, value in sorted(metadata.get("labels", {}).items())]
    taints = [_taint(one) for one in spec.get("taints", [])]
    roles = [key.removeprefix("node-role.kubernetes.io/") for key in metadata.get("labels", {}) if "node-role." in key]
    lines = [f"{'Name:':<20}{metadata['name']}", f"{'Roles:':<20}{','.join(sorted(roles)) or '<none>'}"]
    lines += _block("Labels:", labels) + _block("Taints:", taints)
    lines += [f"{'CreationTimestamp:':<20}{metadata['creationTimestamp']}"]
    lines += [f"{'Unschedulable:':<20}{str(bool(spec.get('unschedulable'))).lower()}", "Conditions:"]
    for one in status.get("conditions", []):
        lines.append(f"  {one['type']:<18}{one['status']:<9}{one.get('reason', ''):<30}{one.get('message', '')}")
    lines += ["Addresses:", *(f"  {one['type']}:  {one['address']}" for one in status.get("addresses", []))]
    info = status.get("nodeInfo", {})
    return [*lines, "System Info:", f"  Kubelet Version:  {info.get('kubeletVersion', '')}"]


def _block(title: str, values: list[str]) -> list[str]:
    first, *rest = values or ["<none>"]
    return [f"{title:<20}{first}"] + [f"{'':<20}{value}" for value in rest]


def _taint(taint: dict[str, str]) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


def _comma(metadata: dict[str, Any]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(metadata.get("labels", {}).items())) or "<none>"


def _sorted(value: Any) -> Any:
    """The value with all keys in order, as kubectl prints them."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value
