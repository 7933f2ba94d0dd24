"""The cluster that this server makes, joins or is in already: which datastore, and how its identity gets here.

A server has etcd if it was started with --cluster-init or --server, or ever was a member; otherwise sqlite. With etcd
the identity comes from another server over HTTP where there is one to ask, else from the copy in this server's own
member files. Both orders, and what each failure says, are K3s'. Left out: --cluster-reset, and servers without etcd.
"""

import json
from contextlib import closing
from pathlib import Path

from common import jointoken, log
from common.flags import Parsed
from common.httpclient import Client, Endpoint, TransportError, Trust
from common.jointoken import JoinToken, TokenError
from common.log import CommandError
from datastore import sqlite
from datastore.etcd import Etcd
from datastore.files import MemberFiles
from datastore.keys import Datastore, Keys, Operation, Unavailable
from datastore.peers import Certificates, Peers
from datastore.sqlite import Sqlite
from node import join
from node.kubelet import NodeSettings
from server import bootstrap, critical, etcdsays, membership
from server.bootstrap import BootstrapFiles, Files, WrongToken
from server.identity import Identity, Tokens


class Cluster:
    """The cluster as seen by a server that starts."""

    def __init__(self, given: Parsed, tokens: Tokens, node: NodeSettings, directory: Path) -> None:
        """Look which datastore it is."""
        self._given, self._tokens, self._node, self._dir = given, tokens, node, directory
        self._disk = BootstrapFiles(directory)
        self._files = MemberFiles(directory / "db")
        self._files.clear_grave()
        self._name = self._files.member_name(node.name)
        self._join = Endpoint(given.text("server")) if given.text("server") else None
        joins = bool(self._join and tokens.server)
        self.has_etcd = self._files.initialized or given.bool("cluster-init") or joins
        self._certificates = Certificates(directory / "tls" / "etcd")
        self._sqlite: Sqlite | None = None

    def bootstrap(self) -> None:
        """Bring the identity to the disk and compare it; CommandError, or a fatal end, if that fails."""
        try:
            if self.has_etcd:
                self._bootstrap_etcd()
            else:
                self._bootstrap_sqlite()
        except (TokenError, WrongToken, join.JoinError, critical.Mismatch) as error:
            raise CommandError(f"preparing server: failed to bootstrap cluster data: {error}") from error

    def open(self) -> Datastore:
        """The datastore; etcd's does not answer before `start`."""
        if not self.has_etcd:
            self._sqlite = self._sqlite or Sqlite(self._dir / "db")
            return self._sqlite
        names = ["127.0.0.1", "::1", "localhost", self._node.name, *self._node.addresses]
        self._certificates.ensure(names)
        return Etcd(self._files, Peers(self._certificates), self._name)

    def start(self, datastore: Datastore, identity: Identity) -> None:
        """Have the datastore take part and wait until it answers; then see that it has the identity."""
        if isinstance(datastore, Etcd):
            self._start_etcd(datastore)
        password = identity.password
        try:
            if bootstrap.find(datastore.keys, password) is None:
                log.info("Saving cluster bootstrap data to datastore")
                datastore.commit(bootstrap.seal(datastore.keys, password, self._disk.read()))
        except (WrongToken, Unavailable) as error:
            log.error(f"Shutdown request received: failed to save bootstrap data: {error}")
            raise SystemExit(1) from error

    def reseal(self, datastore: Datastore, password: str) -> None:
        """Seal what is on disk with another password."""
        log.info("Saving cluster bootstrap data to datastore")
        datastore.commit(bootstrap.seal(datastore.keys, password, self._disk.read()))

    def hand_out(self, keys: Keys, password: str, remote: str) -> Files:
        """The identity for a server that joins."""
        try:
            found = bootstrap.find(keys, password)
        except WrongToken:
            found = None
        if found is not None:
            log.info(f"Serving HTTP bootstrap from datastore for {remote}")
            return found
        # The token is right for this process, and the datastore has another one since: a rotation is under way.
        log.warning(
            f"Failed to retrieve HTTP bootstrap data from datastore; falling back to disk for {remote}: "
            "etcdserver: key not found"
        )
        return self._disk.read()

    # sqlite

    def _bootstrap_sqlite(self) -> None:
        """Check the token's form, and the datastore's copy with it."""
        self._sqlite = Sqlite(self._dir / "db")
        password = self._password()
        files = bootstrap.find(self._sqlite.keys, password)
        if files is not None:
            self._disk.reconcile(files)
        else:
            log.info("Bootstrap key locked for initial create")
            self._refuse_hash()

    def _password(self) -> str:
        """The password by which the identity is sealed: the configured token's, or the one on disk."""
        path, token = self._dir / "token", self._tokens.server
        if not token and path.exists():
            token = path.read_text(encoding="utf-8").strip()
        return jointoken.server_password(token) if token else ""

    def _refuse_hash(self) -> None:
        token = self._tokens.server
        if token and jointoken.parse(token).ca_hash and not (self._dir / "tls" / "server-ca.crt").exists():
            raise TokenError("the token includes a CA hash, but the cluster CA does not exist yet: use a short token")

    # etcd

    def _bootstrap_etcd(self) -> None:
        if self._files.initialized:
            log.info("Managed etcd cluster bootstrap already complete and initialized")
            if not self._reconcile_with_others():
                self._reconcile_with_own_copy()
        elif self._join is None:
            self._password()  # A malformed token is refused before anything is made.
            log.info("Managed etcd cluster initializing")
            self._refuse_hash()
        else:
            self._bootstrap_from(self._join)

    def _bootstrap_from(self, endpoint: Endpoint) -> None:
        """Take the identity from the server that we join."""
        try:
            token = jointoken.parse(self._tokens.server)
            bundle = join.validate(endpoint, token)
        except (join.JoinError, TokenError) as error:
            what = "failed to check if bootstrap data has been initialized: failed to validate token"
            raise TokenError(f"{what}: {error}") from error
        log.info("Managed etcd cluster not yet initialized")
        try:
            self._compare(endpoint, bundle)
        except critical.Mismatch as error:
            raise TokenError(f"failed to validate server configuration: {error}") from error
        self._disk.reconcile(json.loads(_get(endpoint, bundle, token, "server", "/v1-k3s/server-bootstrap")))

    def _compare(self, endpoint: Endpoint, bundle: bytes) -> None:
        token = jointoken.parse(self._tokens.agent or self._tokens.server)
        try:
            theirs = json.loads(_get(endpoint, bundle, token, "node", "/v1-k3s/config"))
        except join.JoinError as error:
            log.warning(f"Skipping cluster configuration validation: {error}")
            return
        critical.compare(critical.arguments(self._given), theirs)

    def _reconcile_with_others(self) -> bool:
        if self._join is None or not self._tokens.server:
            return False
        try:
            token = jointoken.parse(self._tokens.server)
            bundle = join.validate(self._join, token)
        except (join.JoinError, TokenError):
            return False
        try:
            files = json.loads(_get(self._join, bundle, token, "server", "/v1-k3s/server-bootstrap"))
        except join.JoinError as error:
            log.warning(f"Unable to reconcile with remote datastore: {error}")
            return False
        self._disk.reconcile(files)
        log.info("Successfully reconciled with remote datastore")
        return True

    def _reconcile_with_own_copy(self) -> None:
        log.info("Starting temporary etcd to reconcile with datastore")
        state = self._files.load()
        keys = Keys()
        if state is not None:
            keys.restore(state["keys"])
        log.info("etcd temporary data store connection OK")
        try:
            files = bootstrap.find(keys, self._password())
        except (WrongToken, TokenError) as error:
            log.fatal(f"Failed to reconcile with temporary etcd: {error}")
        if files is not None:
            self._disk.reconcile(files)

    def _start_etcd(self, etcd: Etcd) -> None:
        fresh = self._files.load() is None
        url = membership.listen(etcd, self._certificates, self._node)
        member = membership.description(self._node, self._given.number("https-listen-port"))
        if not fresh:
            log.info("Starting etcd for existing cluster member")
        elif self._join is None:
            log.info("Starting etcd for new cluster, cluster-reset=false")
            etcd.found(member, self._migrated())
        else:
            membership.join(etcd, self._join, self._tokens.server, member, self._files, self._certificates)
        etcd.start()
        etcdsays.health(etcd)
        membership.wait(etcd, url)
        etcdsays.members(etcd, self._certificates)

    def _migrated(self) -> Operation:
        """What a server had in sqlite before it was started with --cluster-init."""
        path = self._files.sqlite
        if not path.exists():
            return Operation({})
        log.info("Migrating content from sqlite to etcd")
        old = Sqlite(path.parent)
        entries = old.keys.under("/registry/")
        old.close()
        path.rename(path.with_name(f"{sqlite.NAME}.migrated"))
        return Operation({key: value for key, _, value in entries})


def _get(endpoint: Endpoint, bundle: bytes, token: JoinToken, user: str, path: str) -> bytes:
    """What another server has at a path, for a user with the token's password; JoinError with the server's words."""
    with closing(Client(endpoint, Trust(bundle))) as client:
        try:
            return join.body(endpoint, path, client.request("GET", path, join.login(token, user)))
        except TransportError as error:
            raise join.JoinError(str(error)) from error
