"""`k3s agent`: joining a cluster and being a node of it."""
