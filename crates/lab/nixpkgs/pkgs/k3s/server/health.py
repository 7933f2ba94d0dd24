"""`/readyz`, `/livez` and `/healthz`, with Kubernetes' words; a check of the datastore is the only one that can fail.

Whoever asks for `?verbose`, or for anything while a check fails, gets the list of checks.
"""

from server.messages import Reply, text_reply

PATHS = ("/readyz", "/livez", "/healthz")

_HOOKS = """start-apiserver-admission-initializer generic-apiserver-start-informers
    priority-and-fairness-config-consumer priority-and-fairness-filter
    storage-object-count-tracker-hook start-apiextensions-informers start-apiextensions-controllers
    crd-informer-synced start-system-namespaces-controller
    start-cluster-authentication-info-controller start-kube-apiserver-identity-lease-controller
    start-kube-apiserver-identity-lease-garbage-collector start-legacy-token-tracking-controller
    start-service-ip-repair-controllers rbac/bootstrap-roles
    scheduling/bootstrap-system-priority-classes priority-and-fairness-config-producer
    bootstrap-controller aggregator-reload-proxy-client-cert start-kube-aggregator-informers
    apiservice-status-local-available-controller apiservice-status-remote-available-controller
    apiservice-registration-controller apiservice-discovery-controller
    kube-apiserver-autoregistration""".split()


def answer(path: str, query: dict[str, str], datastore_answers: bool) -> Reply:
    """The answer at one of the paths."""
    name = path.removeprefix("/")
    of_readyz = name == "readyz"
    excluded = query.get("exclude", "")
    failing = set() if datastore_answers else {"etcd", "etcd-readiness"} - {excluded}
    checks = ["ping", "log", "etcd", *(["etcd-readiness", "informer-sync"] if of_readyz else [])]
    checks += [f"poststarthook/{hook}" for hook in _HOOKS] + ["autoregister-completion"]
    checks += ["apiservice-openapi-controller", "apiservice-openapiv3-controller", *(["shutdown"] if of_readyz else [])]
    failed = [check for check in checks if check in failing]
    if not failed and "verbose" not in query:
        return text_reply("ok")
    lines = [f"[-]{check} failed: reason withheld" if check in failing else f"[+]{check} ok" for check in checks]
    verdict = f"{name} check {'failed' if failed else 'passed'}"
    return text_reply("\n".join([*lines, verdict]) + "\n", 500 if failed else 200)
