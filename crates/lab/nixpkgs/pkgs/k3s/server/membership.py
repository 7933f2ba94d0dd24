"""Becoming a member of the etcd cluster: what a member is, how it is added, and what it waits for.

A new member is a learner, which has no vote, until the leader sees that it has everything. Only one may learn at a
time.
"""

import json
import time
from contextlib import closing
from typing import Any, NoReturn

from common import jointoken, log, settings, stopping
from common.httpclient import Client, Endpoint, TransportError, Trust
from common.jointoken import TokenError
from common.log import CommandError
from datastore import peers
from datastore.consensus import MEMBERS
from datastore.etcd import Etcd
from datastore.files import MemberFiles
from datastore.keys import Operation
from datastore.peers import Certificates, Peers
from node import join as joining
from node.kubelet import NodeSettings

_RETRY = 1.0
_TEST_PERIOD = 5.0


class _NotYet(Exception):
    """To be tried again in a moment."""


def description(node: NodeSettings, port: int) -> dict[str, Any]:
    """A member as it is recorded; new ones are voters unless a cluster says otherwise."""
    address = node.addresses[0]
    return {
        "node": node.name,
        "peer": f"https://{address}:{settings.ETCD_PEER_PORT}",
        "client": f"https://{address}:{settings.ETCD_CLIENT_PORT}",
        "api": f"{address}:{port}",
        "learner": False,
    }


def listen(etcd: Etcd, certificates: Certificates, node: NodeSettings) -> str:
    """Answer other members on the node's first address; its URL for them."""
    address = node.addresses[0]
    try:
        peers.listen(address, certificates, etcd.answer)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        text = f"listen tcp {address}:{settings.ETCD_PEER_PORT}: bind: {reason}"
        raise CommandError(f"start managed database: {text}") from error
    return f"https://{address}:{settings.ETCD_PEER_PORT}"


def join(
    etcd: Etcd,
    endpoint: Endpoint,
    token: str,
    member: dict[str, Any],
    files: MemberFiles,
    certificates: Certificates,
) -> None:
    """Be added to the cluster of the server at endpoint, however long it takes."""
    while True:
        try:
            _add(etcd, _members(endpoint, token), {**member, "learner": True}, files, certificates)
            return
        except _NotYet as reason:
            log.info(str(reason))
        stopping.pause(_RETRY)


def wait(etcd: Etcd, url: str) -> None:
    """Wait until the datastore answers, and say every few seconds why it does not."""
    said = float("-inf")
    while not (etcd.available() and _trouble(etcd, url) == ""):
        if time.monotonic() - said > _TEST_PERIOD and time.monotonic() > said:
            said = time.monotonic()
            log.info(f"Failed to test etcd connection: {_trouble(etcd, url) or 'etcdserver: no leader'}")
        stopping.pause(0.1)
    log.info("Connection to etcd is ready")


def shown(etcd: Etcd) -> dict[str, Any]:
    """The members as `/db/info` lists them."""
    listed = [
        {"ID": int(name[-8:], 16), "name": name, "peerURLs": [one["peer"]], "clientURLs": [one["client"]]}
        | ({"isLearner": True} if one["learner"] else {})
        for name, one in etcd.members().items()
    ]
    return {"members": listed}


def _trouble(etcd: Etcd, url: str) -> str:
    """Why this member is none, or has no vote yet; empty if it has."""
    members = etcd.members()
    own = members.get(etcd.name)
    if etcd.removed or (members and (own is None or own["peer"] != url)):
        found = " ".join(f"{name}={one['peer']}" for name, one in members.items())
        return f"this server is a not a member of the etcd cluster. Found [{found}], expect: {etcd.name}={url}"
    if own is None or own["learner"]:
        return "this server has not yet been promoted from learner to voting member"
    return ""


def _members(endpoint: Endpoint, token: str) -> dict[str, dict[str, Any]]:
    try:
        parsed = jointoken.parse(token)
        with closing(Client(endpoint, Trust(joining.validate(endpoint, parsed, warn=False)))) as client:
            reply = client.request("GET", "/db/info", joining.login(parsed, "server"))
            body = joining.body(endpoint, "/db/info", reply)
    except (TokenError, TransportError, joining.JoinError) as error:
        what = "Waiting to retrieve etcd cluster member list: failed to get MemberList from server"
        raise _NotYet(f"{what}: {error}") from error
    return {one["name"]: one for one in json.loads(body)["members"]}


def _add(
    etcd: Etcd,
    members: dict[str, dict[str, Any]],
    member: dict[str, Any],
    files: MemberFiles,
    certificates: Certificates,
) -> None:
    urls = " ".join(f"{name}={one['peerURLs'][0]}" for name, one in members.items())
    for name in members:
        if name != etcd.name and name.rpartition("-")[0] == member["node"]:
            files.forget_name()
            _give_up("duplicate node name found, please use a unique name for this node")
    own = f"{etcd.name}={member['peer']}"
    if etcd.name not in members:
        if any(one.get("isLearner") for one in members.values()):
            text = "etcdserver: too many learner members in cluster"
            raise _NotYet(f"Waiting for other members to finish joining etcd cluster: {text}")
        log.info(f"Adding member {own} to etcd cluster [{urls}]")
        operation = Operation({MEMBERS + etcd.name: member}, {MEMBERS + etcd.name: 0})
        message = {"operation": operation.json(), "durable": True}
        line = Peers(certificates)
        urls_of = [one["clientURLs"][0] for one in members.values() if not one.get("isLearner")]
        answers = (line.send(url, "/v3/commit", message, settings.ETCD_REQUEST) for url in urls_of)
        if not any(answer and ("index" in answer or "conflict" in answer) for answer in answers):
            _give_up("context deadline exceeded")  # What a closed port 2379 looks like.
        urls = f"{urls} {own}".strip()
    log.info(f"Starting etcd to join cluster with members [{urls}]")


def _give_up(reason: str) -> NoReturn:
    """End, as K3s does; systemd starts it again."""
    log.error(f"Shutdown request received: etcd cluster join failed: {reason}")
    raise SystemExit(1)
