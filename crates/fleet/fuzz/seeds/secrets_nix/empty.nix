let systems = {}; k3sServers = [ ]; k3sAgents = [
  # none yet
]; in { }
