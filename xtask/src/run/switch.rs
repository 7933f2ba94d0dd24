//! What nixos-rebuild does on a host to activate a system, in the same unit: sent by us, since the path is known and lies
//! there. Nothing is evaluated again, so nothing else can be activated than what was built; and a login that fails never
//! has the activation run outside of the unit, where it would die with its link.

use std::time::Duration;

use remote::RunError;
use remote::nixos_rebuild::UNIT;
use remote::ssh::Session;

use super::{Built, Origin, host};
use crate::playbook::Target;

/// Setting a profile is quick, and installing a boot loader takes its time.
pub(super) const BOOT_TIMEOUT: Duration = Duration::from_secs(300);

/// The profile comes first, as nixos-rebuild has it: the boot loader's menu is made of its generations.
const SET_PROFILE: &str = "nix-env --profile \"$1\" \"$2\" \"$3\" && shift 3 && exec \"$@\"";

/// Runs the system's `switch-to-configuration` on its host; an activation within `patience`. Exit code 255 says as little as
/// ssh's does: systemd-run gives it for a unit that was killed.
pub(super) fn switch(
    session: &Session,
    target: Target,
    built: &Built,
    patience: Duration,
    on_line: &dyn Fn(&str),
) -> Result<(), RunError> {
    let word = word(target);
    let timeout = if target == Target::Boot { BOOT_TIMEOUT } else { patience };
    let aloud = host::ALOUD.into_iter().map(str::to_owned);
    let command = session.command(aloud.chain(argv(target, built)));
    let command = command.label(format!("switch-to-configuration {word}")).timeout(timeout);
    command.run_watched(on_line).map(drop)
}

pub(super) fn argv(target: Target, built: &Built) -> Vec<String> {
    let unit = format!("--unit={}", UNIT.trim_end_matches(".service"));
    let program = format!("{}/bin/switch-to-configuration", built.system);
    let mut argv = Vec::new();
    if target == Target::Boot {
        let (how, which) = match &built.origin {
            Origin::Snapshot(_) => ("--set", built.system.clone()),
            // No new number for what has one.
            Origin::OnHost(number) => ("--switch-generation", number.to_string()),
        };
        argv.extend(["sh", "-c", SET_PROFILE, "sh", host::PROFILE, how, &which].map(str::to_owned));
    }
    let run =
        ["systemd-run", "-E", "LOCALE_ARCHIVE", "-E", "NIXOS_NO_CHECK", "-E", "NIXOS_INSTALL_BOOTLOADER=0"];
    let how = ["--collect", "--no-ask-password", "--pipe", "--quiet", "--service-type=exec", &unit];
    argv.extend(run.iter().chain(&how).map(ToString::to_string));
    argv.extend([program, word(target).to_owned()]);
    argv
}

fn word(target: Target) -> &'static str {
    match target {
        Target::Running => "test",
        Target::Boot => "boot",
        Target::DryRun => "dry-activate",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_activated_in_the_unit_and_by_the_command_of_nixos_rebuild() {
        let system = || "/nix/store/a-nixos-system-maia".to_owned();
        let snapshot = Built { system: system(), origin: Origin::Snapshot("/nix/store/b-source".to_owned()) };
        let generation = Built { system: system(), origin: Origin::OnHost(7) };
        let shown = |target, built: &Built| argv(target, built).join(" ");
        let unit = "systemd-run -E LOCALE_ARCHIVE -E NIXOS_NO_CHECK -E NIXOS_INSTALL_BOOTLOADER=0 --collect \
                    --no-ask-password --pipe --quiet --service-type=exec --unit=nixos-rebuild-switch-to-configuration \
                    /nix/store/a-nixos-system-maia/bin/switch-to-configuration";
        assert_eq!(shown(Target::Running, &snapshot), format!("{unit} test"));
        assert_eq!(shown(Target::DryRun, &generation), format!("{unit} dry-activate"));
        let set = format!("sh -c {SET_PROFILE} sh /nix/var/nix/profiles/system");
        assert_eq!(shown(Target::Boot, &snapshot), format!("{set} --set {} {unit} boot", system()));
        assert_eq!(shown(Target::Boot, &generation), format!("{set} --switch-generation 7 {unit} boot"));
    }
}
