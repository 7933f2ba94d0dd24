"""Where the cluster's state lies: `sqlite` for one server, `etcd` for several; `keys` is what both have."""
