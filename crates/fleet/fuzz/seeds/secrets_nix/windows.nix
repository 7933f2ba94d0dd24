let
  users = {
    ncrmro = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIML6kcinJcR394Cfb8a39BmCRrSNXXhOIMRX8bMiXLqb"; # Admin SSH key
  };
  
  systems = {
    ocean = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPp6+GKPyYL/D37LEd6y6Y1lew8OuY5SVkB/vRx9UmSi"; # Server node SSH key
    maia = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGHhPDCG/QG1Z55zp+1o1sxyBc1TGEaP+xUcpu9xIljD";  # Agent node SSH key
  };

  adminKeys = [users.ncrmro];
  k3sServers = [systems.ocean];  # Only server nodes
  k3sAgents = [systems.maia];    # Only agent nodes
in {
  # Server token - only servers can decrypt
  "secrets/k3s-server-token.age".publicKeys = adminKeys ++ k3sServers;
  
  # Agent token - only agents can decrypt
  "secrets/k3s-agent-token.age".publicKeys = adminKeys ++ k3sAgents;
}
