# Packages that are links to the Debian programs of the machine that builds.
#
# `base` are the tools that units and scripts have on their PATH: one package for all of them, whose bin
# is /usr/bin itself. `programs` are what people install: a program that the machine lacks becomes a
# script that says so, so a host that lists it can still be rehearsed.
{ lib, builders }:
let
  inherit (builders) runCommand;

  debian = runCommand "debian-tools" { } ''
    mkdir $out
    ln -s /usr/bin $out/bin
    ln -s /usr/sbin $out/sbin
  '';
  base = lib.genAttrs [
    "acl"
    "bash"
    "bashInteractive"
    "coreutils"
    "coreutils-full"
    "cryptsetup"
    "curl"
    "diffutils"
    "e2fsprogs"
    "findutils"
    "gawk"
    "getent"
    "glibc"
    "gnugrep"
    "gnused"
    "gnutar"
    "gzip"
    "iproute2"
    "iptables"
    "iputils"
    "kmod"
    "less"
    "mount"
    "nftables"
    "nix"
    "openssh"
    "openssl"
    "procps"
    "python3"
    "shadow"
    "su"
    "sudo"
    "systemd"
    "util-linux"
    "which"
    "xz"
    "zstd"
  ] (name: debian // { inherit name; });

  linked =
    name: programs:
    runCommand name { meta.mainProgram = lib.head programs; } ''
      mkdir -p $out/bin
      for program in ${toString programs}; do
        for there in /usr/bin /usr/sbin; do
          if [ -x $there/$program ]; then
            ln -s $there/$program $out/bin/$program
            continue 2
          fi
        done
        {
          echo '#!/bin/sh'
          echo "echo '$program: not on this rehearsal machine; the miniature nixpkgs has only what Debian has' >&2"
          echo 'exit 127'
        } > $out/bin/$program
        chmod +x $out/bin/$program
      done
    '';
  named = lib.genAttrs [
    "bat"
    "borgbackup"
    "btop"
    "cargo"
    "dig"
    "direnv"
    "emacs"
    "ethtool"
    "eza"
    "fd"
    "file"
    "fish"
    "fzf"
    "git"
    "gnumake"
    "gnupg"
    "htop"
    "iftop"
    "iotop"
    "iperf3"
    "jq"
    "just"
    "k9s"
    "lsof"
    "mc"
    "micro"
    "mtr"
    "nano"
    "ncdu"
    "nixos-rebuild-ng"
    "nmap"
    "restic"
    "rsync"
    "rustc"
    "screen"
    "smartmontools"
    "socat"
    "sqlite"
    "strace"
    "tcpdump"
    "tmux"
    "tree"
    "unzip"
    "vim"
    "wget"
    "yq"
    "zip"
    "zsh"
  ] (name: linked name [ name ]);
in
base
// named
// {
  inherit linked;
  utillinux = base.util-linux;
  age = linked "age" [
    "age"
    "age-keygen"
  ];
  neovim = linked "neovim" [ "nvim" ];
  ripgrep = linked "ripgrep" [ "rg" ];
  dnsutils = linked "dnsutils" [ "dig" ];
  bind = linked "bind" [ "dig" ];
  inetutils = linked "inetutils" [ "telnet" ];
  pciutils = linked "pciutils" [ "lspci" ];
  usbutils = linked "usbutils" [ "lsusb" ];
  kubectl = linked "kubectl" [ "kubectl" ];
  kubernetes-helm = linked "kubernetes-helm" [ "helm" ];
  nfs-utils = linked "nfs-utils" [ "mount.nfs" ];
  openiscsi = linked "openiscsi" [ "iscsiadm" ];
  zfs = linked "zfs" [
    "zfs"
    "zpool"
  ];
}
