# Secrets, decrypted on the host at activation with its own ssh host key, to /run/agenix.
{ inputs, ... }:
{
  imports = [ inputs.agenix.nixosModules.default ];
}
