let systems = rec { "maia" = "a\"b${c}"; }; inherit (x) k3sAgents; f = { systems, ... }@all: systems: let systems.a = 1; in [systems.maia]; in f
