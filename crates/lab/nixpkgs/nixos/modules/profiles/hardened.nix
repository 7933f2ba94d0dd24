# Imported by hardware-configuration.nix files through modulesPath; without effect on a rehearsal machine.
{ }
