# What belongs to a physical machine: boot loader, kernel, disks. Accepted so that a host's real
# hardware-configuration.nix evaluates unchanged; of no effect, because a rehearsal machine is a
# container on the tester's own kernel and disks.
{ lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  accepted =
    description:
    mkOption {
      type = types.attrsOf types.anything;
      default = { };
      inherit description;
    };
  strings =
    description:
    mkOption {
      type = types.listOf types.str;
      default = [ ];
      inherit description;
    };
  flag =
    default: description:
    mkOption {
      type = types.bool;
      inherit default description;
    };
in
{
  options = {
    boot = {
      loader = accepted "The boot loader. The rehearsal's own records its entries in /boot/loader.";
      initrd = accepted "The initial ramdisk.";
      kernel.sysctl = accepted "Kernel parameters at run time: those of the tester's kernel stay as they are.";
      kernelModules = strings "Kernel modules to load.";
      kernelParams = strings "The kernel's command line.";
      blacklistedKernelModules = strings "Kernel modules not to load.";
      extraModulePackages = mkOption {
        type = types.listOf types.raw;
        default = [ ];
        description = "Kernel modules from outside the kernel.";
      };
      extraModprobeConfig = mkOption {
        type = types.lines;
        default = "";
        description = "For modprobe.";
      };
      kernelPackages = mkOption {
        type = types.raw;
        default = pkgs.linuxPackages;
        description = "The kernel.";
      };
      supportedFilesystems = mkOption {
        type = types.either (types.listOf types.str) (types.attrsOf types.bool);
        default = [ ];
        description = "File systems to support.";
      };
      zfs.enabled = flag false "Whether ZFS is used.";
      zfs.extraPools = strings "ZFS pools to import.";
      zfs.package = mkOption {
        type = types.package;
        default = pkgs.zfs;
        description = "The ZFS tools.";
      };
      tmp = accepted "/tmp.";
      growPartition = flag false "Whether to grow the root partition.";
      isContainer = flag false "Whether this NixOS is a container.";
    };

    fileSystems = mkOption {
      type = types.attrsOf (
        types.submodule (
          { name, ... }:
          {
            freeformType = types.attrsOf types.anything;
            options = {
              mountPoint = mkOption {
                type = types.nonEmptyStr;
                default = name;
                description = "Where it is mounted.";
              };
              device = mkOption {
                type = types.nullOr types.nonEmptyStr;
                default = null;
                description = "The device.";
              };
              fsType = mkOption {
                type = types.nonEmptyStr;
                default = "auto";
                description = "The file system's type.";
              };
              options = mkOption {
                type = types.nonEmptyListOf types.nonEmptyStr;
                default = [ "defaults" ];
                description = "Mount options.";
              };
              neededForBoot = flag false "Whether it is mounted in the initial ramdisk.";
            };
          }
        )
      );
      default = { };
      description = "File systems. Mounted nowhere here.";
    };
    swapDevices = mkOption {
      type = types.listOf (types.attrsOf types.anything);
      default = [ ];
      description = "Swap.";
    };
    zramSwap = accepted "Compressed swap.";

    hardware = mkOption {
      type = types.submodule {
        freeformType = types.attrsOf types.anything;
        options.enableRedistributableFirmware = flag false "Whether to install redistributable firmware.";
        options.enableAllFirmware = flag false "Whether to install all firmware.";
      };
      default = { };
      description = "Hardware.";
    };
    powerManagement = accepted "Power management.";
  };
}
