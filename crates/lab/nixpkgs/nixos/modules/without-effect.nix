# Options that ordinary host files set and that change nothing a rehearsal looks at. They are accepted
# whole, unchecked inside; what must be checked has a module of its own. All else is refused by name.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  accepted = mkOption {
    type = types.attrsOf types.anything;
    default = { };
    description = "Accepted without effect in a rehearsal.";
  };
in
{
  options = {
    console = accepted;
    documentation = accepted;
    fonts = accepted;
    gtk = accepted;
    i18n = accepted;
    location = accepted;
    # The machine keeps its own nix.conf, without caches and without a sandbox.
    nix = accepted;
    programs = accepted;
    qt = accepted;
    security = accepted;
    specialisation = accepted;
    xdg = accepted;

    time.timeZone = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The time zone. The machine keeps the tester's.";
    };
    time.hardwareClockInLocalTime = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the hardware clock is in local time.";
    };

    services = lib.genAttrs [
      "avahi"
      "chrony"
      "cron"
      "dbus"
      "fail2ban"
      "fstrim"
      "fwupd"
      "getty"
      "iperf3"
      "journald"
      "logind"
      "logrotate"
      "ntp"
      "openiscsi"
      "prometheus"
      "qemuGuest"
      "resolved"
      "rpcbind"
      "smartd"
      "sshguard"
      "thermald"
      "timesyncd"
      "udev"
      "userborn"
      "xserver"
      "zfs"
    ] (_: accepted);

    virtualisation = lib.genAttrs [
      "docker"
      "libvirtd"
      "oci-containers"
      "podman"
      "vmVariant"
      "vmware"
    ] (_: accepted);
  };
}
