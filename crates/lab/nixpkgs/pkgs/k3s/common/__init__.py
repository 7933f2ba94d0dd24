"""What both the control plane and the nodes of the stand-in use."""
