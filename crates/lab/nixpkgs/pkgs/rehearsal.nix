# What a rehearsal has in place of stand-ins, and what its machines are like. This file is replaced by each rehearsal.
{
  # Programs of a real K3s, oldest first: { version = "1.35.4+k3s1"; program = "/opt/k3s/…/k3s"; }
  k3s = [ ];
  # Of the machine that everything runs on. A kubelet from 1.35 on refuses cgroup v1 unless told otherwise.
  cgroupVersion = 2;
}
