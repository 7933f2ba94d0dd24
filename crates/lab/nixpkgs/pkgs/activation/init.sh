#!/bin/bash
# Stand-in for NixOS' stage 2: what the boot loader starts. It activates the system, remembers it as the booted one,
# and becomes systemd, which is Debian's, and finds the units of this system in /etc.
systemConfig='@out@'
"$systemConfig/activate"
ln -sfn "$(readlink -f "$systemConfig")" /run/booted-system
exec /usr/lib/systemd/systemd
