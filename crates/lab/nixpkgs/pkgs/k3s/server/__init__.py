"""`k3s server`: the supervisor, the Kubernetes API and the node controller of the stand-in."""
