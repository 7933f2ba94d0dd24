# `age.secrets`, as agenix' NixOS module has it: same options, defaults, paths, messages and failures.
#
# At activation each secret is decrypted with the host's ssh keys into a new generation below
# /run/agenix.d (a ramfs), and /run/agenix is moved to it. A secret that can't be decrypted does not stop
# the rest: it is missing in the new generation, and the activation script ends with 1.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.age;

  secret =
    { name, config, ... }:
    {
      options = {
        name = mkOption {
          type = types.str;
          default = name;
          description = "The file's name in secretsDir.";
        };
        file = mkOption {
          type = types.path;
          description = "The encrypted file.";
        };
        path = mkOption {
          type = types.str;
          default = "${cfg.secretsDir}/${config.name}";
          description = "Where the secret is in the clear.";
        };
        mode = mkOption {
          type = types.str;
          default = "0400";
          description = "Its mode.";
        };
        owner = mkOption {
          type = types.str;
          default = "0";
          description = "Its owner.";
        };
        group = mkOption {
          type = types.str;
          default = usersGroup config.owner;
          description = "Its group.";
        };
        symlink = lib.mkEnableOption "symlinking secrets to their destination" // {
          default = true;
        };
      };
    };
  usersGroup = owner: config.users.users.${owner}.group or "0";
  secrets = lib.attrValues cfg.secrets;

  nextGeneration = ''
    _agenix_generation="$(basename "$(readlink ${cfg.secretsDir})" || echo 0)"
    (( ++_agenix_generation ))
  '';
  truePath =
    s: if s.symlink then ''"${cfg.secretsMountPoint}/$_agenix_generation/${s.name}"'' else ''"${s.path}"'';
  isElsewhere = s: s.path != "${cfg.secretsDir}/${s.name}";

  decrypt = s: ''
    _truePath=${truePath s}
    echo "decrypting '${s.file}' to '$_truePath'..."
    TMP_FILE="$_truePath.tmp"
    mkdir -p "$(dirname "$_truePath")"
    ${lib.optionalString (isElsewhere s) ''mkdir -p "$(dirname "${s.path}")"''}
    (
      umask u=r,g=,o=
      test -f "${s.file}" || echo '[agenix] WARNING: encrypted file ${s.file} does not exist!'
      LANG=C ${cfg.ageBin} --decrypt "''${IDENTITIES[@]}" -o "$TMP_FILE" "${s.file}"
    )
    chmod ${s.mode} "$TMP_FILE"
    mv -f "$TMP_FILE" "$_truePath"
    ${lib.optionalString (
      s.symlink && isElsewhere s
    ) ''ln -sfT "${cfg.secretsDir}/${s.name}" "${s.path}"''}
  '';
in
{
  options.age = {
    ageBin = mkOption {
      type = types.str;
      default = "${pkgs.age}/bin/age";
      description = "The age program.";
    };
    secrets = mkOption {
      type = types.attrsOf (types.submodule secret);
      default = { };
      description = "Secrets.";
    };
    secretsDir = mkOption {
      type = types.path;
      default = "/run/agenix";
      description = "Where secrets are found.";
    };
    secretsMountPoint = mkOption {
      type = types.strMatching "[^ \t\n]+[^/ \t\n]";
      default = "/run/agenix.d";
      description = "Where generations of secrets are.";
    };
    identityPaths = mkOption {
      type = types.listOf types.path;
      default =
        if config.services.openssh.enable then
          map (key: key.path) (
            lib.filter (key: key.type == "rsa" || key.type == "ed25519") config.services.openssh.hostKeys
          )
        else
          [ ];
      description = "The keys to decrypt with.";
    };
  };

  config = lib.mkIf (cfg.secrets != { }) {
    assertions = [
      {
        assertion = cfg.identityPaths != [ ];
        message = "age.identityPaths must be set, for example by enabling openssh.";
      }
    ];

    system.activationScripts = {
      agenixNewGeneration = {
        deps = [ "specialfs" ];
        text = nextGeneration + ''
          echo "[agenix] creating new generation in ${cfg.secretsMountPoint}/$_agenix_generation"
          mkdir -p "${cfg.secretsMountPoint}"
          chmod 0751 "${cfg.secretsMountPoint}"
          grep -q "${cfg.secretsMountPoint} ramfs" /proc/mounts ||
            mount -t ramfs none "${cfg.secretsMountPoint}" -o nodev,nosuid,mode=0751
          mkdir -p "${cfg.secretsMountPoint}/$_agenix_generation"
          chmod 0751 "${cfg.secretsMountPoint}/$_agenix_generation"
        '';
      };

      agenixInstall = {
        deps = [
          "agenixNewGeneration"
          "specialfs"
        ];
        text = ''
          echo '[agenix] decrypting secrets...'
          IDENTITIES=()
          for identity in ${toString cfg.identityPaths}; do
            test -f "$identity" || echo "[agenix] WARNING: config.age.identityPaths entry $identity not present!"
            test -r "$identity" || continue
            test -s "$identity" || continue
            IDENTITIES+=(-i "$identity")
          done
          test "''${#IDENTITIES[@]}" -eq 0 && echo "[agenix] WARNING: no readable identities found!"
          ${lib.concatMapStrings decrypt secrets}
          ${nextGeneration}
          echo "[agenix] symlinking new secrets to ${cfg.secretsDir} (generation $_agenix_generation)..."
          ln -sfT "${cfg.secretsMountPoint}/$_agenix_generation" ${cfg.secretsDir}
          (( _agenix_generation > 1 )) && {
            echo "[agenix] removing old secrets (generation $(( _agenix_generation - 1 )))..."
            rm -rf "${cfg.secretsMountPoint}/$(( _agenix_generation - 1 ))"
          }
        '';
      };
      users.deps = [ "agenixInstall" ];

      agenixChown = {
        deps = [
          "users"
          "groups"
        ];
        text = ''
          echo '[agenix] chowning...'
          chown :keys "${cfg.secretsMountPoint}" "${cfg.secretsMountPoint}/$_agenix_generation"
          ${lib.concatMapStrings (s: "chown ${s.owner}:${s.group} ${truePath s}\n") secrets}
        '';
      };
      agenix = {
        deps = [ "agenixChown" ];
        text = "";
      };
    };
  };
}
