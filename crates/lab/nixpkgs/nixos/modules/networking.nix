# Names and addresses. A rehearsal machine gets its name and its addresses from the lab, which reads the
# same hosts/fleet.toml; what is configured here is checked and kept out of its way.
{ lib, ... }:
let
  inherit (lib) mkEnableOption mkOption types;
  accepted = mkOption {
    type = types.attrsOf types.anything;
    default = { };
    description = "Accepted without effect in a rehearsal.";
  };
  strings =
    description:
    mkOption {
      type = types.listOf types.str;
      default = [ ];
      inherit description;
    };
  gateway = mkOption {
    type = types.nullOr (types.either types.str types.attrs);
    default = null;
    description = "The default gateway.";
  };
in
{
  options.networking = {
    hostName = mkOption {
      type = types.strMatching "^$|^[[:alnum:]]([[:alnum:]_-]{0,61}[[:alnum:]])?$";
      default = "nixos";
      description = "The machine's name.";
    };
    domain = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The machine's domain.";
    };
    hostId = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The machine's id, for ZFS.";
    };
    useDHCP = mkOption {
      type = types.bool;
      default = true;
      description = "Whether to use DHCP on every interface.";
    };
    useNetworkd = mkEnableOption "systemd-networkd";
    enableIPv6 = mkOption {
      type = types.bool;
      default = true;
      description = "Whether to use IPv6.";
    };
    defaultGateway = gateway;
    defaultGateway6 = gateway;
    nameservers = strings "Name servers.";
    search = strings "Search domains.";
    hosts = mkOption {
      type = types.attrsOf (types.listOf types.str);
      default = { };
      description = "For /etc/hosts. The lab's own is in its place.";
    };
    extraHosts = mkOption {
      type = types.lines;
      default = "";
      description = "For /etc/hosts.";
    };
    nftables.enable = mkEnableOption "nftables";
    interfaces = accepted;
    bridges = accepted;
    bonds = accepted;
    vlans = accepted;
    dhcpcd = accepted;
    networkmanager = accepted;
    resolvconf = accepted;
    timeServers = strings "Time servers.";
    wireguard = accepted;
    wireless = accepted;
    nat = accepted;
  };
}
