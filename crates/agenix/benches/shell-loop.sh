#!/bin/sh
# A rekey one secret after the other: what benches/rekey.rs measures ours against.
#
#     sh shell-loop.sh PRIVATE_KEY        in the folder of secrets.nix
#
# Written from what agenix is known to run: one evaluation for the names; then for each secret one for its keys, one
# for its armor, age twice and a rename. What it does beyond (temporary folders a secret, traps, a diff) is left out.
set -eu

private_key=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

evaluate() {
  nix-instantiate --eval --strict --json --expr "let rules = import ./secrets.nix; in $1" | jq -r "$2"
}

evaluate 'builtins.attrNames rules' '.[]' >"$work/names"
while IFS= read -r name; do
  evaluate "rules.\"$name\".publicKeys" '.[]' >"$work/keys"
  armor=$(evaluate "rules.\"$name\".armor or false" .)
  set --
  while IFS= read -r key; do
    set -- "$@" -r "$key"
  done <"$work/keys"
  if [ "$armor" = true ]; then
    set -- "$@" --armor
  fi
  age -d -i "$private_key" -o "$work/plaintext" "$name"
  age "$@" -o "$work/ciphertext" "$work/plaintext"
  mv -f "$work/ciphertext" "$name"
done <"$work/names"
