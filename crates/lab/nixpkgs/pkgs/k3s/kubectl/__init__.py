"""`k3s kubectl`: the verbs that operating nodes takes, over HTTPS like the real one."""
