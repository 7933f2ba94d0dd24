"""`k3s token` and `k3s certificate`."""
