let
	systems = {
		ocean   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPp6+GKPyYL/D37LEd6y6Y1lew8OuY5SVkB/vRx9UmSi"; # first

		# Far.
		maia    = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGHhPDCG/QG1Z55zp+1o1sxyBc1TGEaP+xUcpu9xIljD";
		"0reef" = ''x''; };
	k3sServers = [ systems.ocean # one
	];
	k3sAgents = [
		systems.maia systems."0reef" # two
	];
in { }