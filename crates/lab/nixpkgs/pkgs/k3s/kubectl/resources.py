"""The resources that `k3s kubectl` knows by name, and where their objects are."""

from dataclasses import dataclass

from kubectl.arguments import Arguments, Failure


@dataclass(frozen=True)
class Resource:
    """A kind of object, as kubectl talks of it."""

    plural: str
    singular: str
    group: str = ""
    namespaced: bool = True
    aliases: tuple[str, ...] = ()

    def path(self, namespace: str = "", name: str = "") -> str:
        """The path of the collection (of a namespace), or of an object."""
        root = f"/apis/{self.group}/v1" if self.group else "/api/v1"
        where = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{where}/{self.plural}" + (f"/{name}" if name else "")

    def reference(self, name: str) -> str:
        """An object as `-o name` and the editing verbs print it."""
        return f"{self.singular}.{self.group}/{name}" if self.group else f"{self.singular}/{name}"


NODES = Resource("nodes", "node", namespaced=False, aliases=("no",))
_ALL = (
    NODES,
    Resource("secrets", "secret"),
    Resource("leases", "lease", group="coordination.k8s.io"),
    Resource("pods", "pod", aliases=("po",)),
    Resource("namespaces", "namespace", namespaced=False, aliases=("ns",)),
    Resource("events", "event", aliases=("ev",)),
)


def find(word: str) -> Resource:
    """The resource that a word names; Failure if none."""
    for resource in _ALL:
        full = f"{resource.plural}.{resource.group}"
        if word in (resource.plural, resource.singular, full, *resource.aliases):
            return resource
    raise Failure(f'error: the server doesn\'t have a resource type "{word}"')


def targets(words: list[str]) -> tuple[Resource, list[str]]:
    """The resource and names of `TYPE NAME…` or `TYPE/NAME…`."""
    if not words:
        raise Failure("error: You must provide one or more resources by argument or filename.")
    if "/" in words[0]:
        pairs = [word.split("/", 1) for word in words]
        kinds = {find(kind).plural for kind, *_ in pairs}
        if len(kinds) != 1:
            raise Failure("error: the stand-in takes one type of resource at a time")
        return find(pairs[0][0]), [name for _, name in pairs]
    return find(words[0]), words[1:]


def several(words: list[str]) -> tuple[list[Resource], list[str]]:
    """The resources and names of `TYPE[,TYPE…] [NAME…]`, or of what `targets` takes."""
    if words and "," in words[0]:
        return [find(word) for word in words[0].split(",")], words[1:]
    resource, names = targets(words)
    return [resource], names


def namespace(arguments: Arguments) -> str:
    """The namespace asked for; empty for all of them."""
    return "" if arguments.on("all-namespaces") else arguments.text("namespace", "default")
