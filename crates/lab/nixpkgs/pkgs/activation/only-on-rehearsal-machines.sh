# shellcheck shell=bash disable=SC2154 # a part of scripts that set systemConfig
# A system of the miniature nixpkgs must never touch a real machine. The lab marks its own.
if ! [ -e /etc/xtask-rehearsal ]; then
  echo "refusing to activate $systemConfig: it was built from the rehearsal's miniature nixpkgs," >&2
  echo "and this is no rehearsal machine (no /etc/xtask-rehearsal)." >&2
  exit 1
fi
