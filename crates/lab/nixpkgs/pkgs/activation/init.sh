#!/bin/bash
# Stand-in for NixOS' stage 2: what a rehearsal machine's early boot unit runs, from the boot default.
#
# PID 1 is Debian's systemd and already up, so this activates the system, remembers it as the booted one
# and starts what its targets want, without waiting: a boot doesn't stop because K3s takes its time.
systemConfig='@out@'
"$systemConfig/activate"
status=$?
ln -sfn "$(readlink -f "$systemConfig")" /run/booted-system
systemctl daemon-reload
# shellcheck disable=SC2046 # one word a unit: unit names have no spaces
systemctl start --no-block $(/usr/bin/python3 @switch@/units.py wanted "$systemConfig")
exit $status
