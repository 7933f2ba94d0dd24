//! K3s' unit, what its journal says, containerd, certificates, the API server.

use fleet::Role;
use k3s::journal::{Kind, diagnose};
use k3s::login::Answer;
use k3s::unit::Phase;
use k3s::version::OLDEST;

use super::facts::{HostFacts, K3sFacts};
use super::{Cause, Chart};

/// K3s renews a certificate at a start within 120 days of its end. At 30, nobody restarted it for a quarter of a year.
const NEAR: i64 = 30 * 86400;
/// Last lines that are shown.
const LINES: usize = 3;

/// `joined`: is its node Ready? `None` if nobody could say.
pub(super) fn rules(chart: &mut Chart, seen: &HostFacts, k3s: &K3sFacts, joined: Option<bool>) {
    version(chart, k3s);
    let running = unit(chart, k3s);
    if !running || joined != Some(true) {
        journal(chart, k3s);
    }
    if k3s.unit.is_some() {
        match &seen.containerd {
            None => chart.well("containerd", "runs, with its socket"),
            Some(wrong) => chart.found(Cause::ContainerdDown, None, vec![wrong.clone()], ""),
        }
    }
    certificates(chart, k3s);
    if running {
        readyz(chart, k3s);
    }
}

/// Its files and answers may be others than those that the other rules know.
fn version(chart: &mut Chart, k3s: &K3sFacts) {
    let Some(version) = k3s.version.filter(|version| version.is_too_old()) else { return };
    let value = format!("{version}, not {OLDEST} or newer");
    let evidence = format!("k3s --version: v{version}");
    chart.found(Cause::K3sTooOld, Some(value), vec![evidence], "");
}

fn unit(chart: &mut Chart, k3s: &K3sFacts) -> bool {
    let Some(unit) = &k3s.unit else {
        chart.found(Cause::K3sAbsent, None, vec!["neither k3s.service nor k3s-agent.service".to_owned()], "");
        return false;
    };
    if unit.is_active() {
        chart.well("k3s", format!("{} {}", unit.id, unit.state()));
        return true;
    }
    let mut evidence = vec![unit.told()];
    let cause = match unit.phase() {
        Phase::Crashing { .. } | Phase::Failed => Cause::K3sFailed,
        Phase::Starting | Phase::Running => Cause::K3sStarting,
        Phase::Stopping | Phase::Stopped | Phase::NotStarted => Cause::K3sStopped,
    };
    if cause != Cause::K3sStopped {
        let lines: Vec<&str> =
            k3s.journal.lines().filter(|line| !k3s::journal::is_systemds(line, &unit.id)).collect();
        evidence.extend(lines[lines.len().saturating_sub(LINES)..].iter().map(|line| line.trim().to_owned()));
    }
    chart.found(cause, None, evidence, &unit.id);
    false
}

/// A line is believed unless a probe knows better.
fn journal(chart: &mut Chart, k3s: &K3sFacts) {
    let Some(told) = diagnose(&k3s.journal) else { return };
    let reaches = k3s.probe.as_ref().is_some_and(|probe| probe.reach.is_ok());
    let accepted = k3s.probe.as_ref().is_some_and(|probe| probe.login == Some(Answer::Accepted));
    let cause = match told.kind {
        Kind::Token if accepted => Cause::StaleToken,
        Kind::Token => Cause::WrongToken,
        // The token has become right meanwhile, and K3s still holds the old one.
        Kind::CaHash if accepted => Cause::StaleToken,
        Kind::CaHash => Cause::CaMismatch,
        Kind::NodePassword => Cause::NodePasswordRejected,
        Kind::Clock => Cause::CertificateNotValid,
        Kind::Unreachable if reaches => return,
        Kind::Unreachable => Cause::ServerUnreachable,
        Kind::Interface => Cause::InterfaceMissing,
        // The file itself was looked at: it may be there by now.
        Kind::TokenEmpty | Kind::TokenMissing => return,
        Kind::DatastoreToken => Cause::ServerTokenChanged,
        Kind::PasswdNewer => Cause::PasswdNewer,
        Kind::TokenMalformed => Cause::TokenMalformed,
        Kind::Flag => Cause::UnknownFlag,
        Kind::Cgroup => Cause::CgroupV1,
        Kind::Member => Cause::EtcdGone,
        // It was looked at itself, and K3s' last lines are told with its unit.
        Kind::Containerd | Kind::Repeated => return,
    };
    let detail = match (cause, &k3s.unit) {
        (Cause::StaleToken, Some(unit)) => unit.id.clone(),
        _ => "it".to_owned(),
    };
    chart.found(cause, None, vec![told.evidence], &detail);
}

fn certificates(chart: &mut Chart, k3s: &K3sFacts) {
    for certificate in &k3s.certificates {
        let cause = match certificate.left {
            ..0 => Cause::CertificateExpired,
            0..NEAR => Cause::CertificateNear,
            _ => continue,
        };
        chart.found(cause, None, vec![certificate.line.clone()], "");
    }
    let soonest = k3s.certificates.iter().map(|certificate| certificate.left).min();
    if let Some(left) = soonest.filter(|left| *left >= NEAR) {
        chart.well(
            "certificates",
            format!("the first of {} ends in {} days", k3s.certificates.len(), left / 86400),
        );
    }
}

fn readyz(chart: &mut Chart, k3s: &K3sFacts) {
    if chart.host.role != Some(Role::Server) {
        return;
    }
    let Some(server) = &k3s.server else { return };
    // kubectl wraps what the server says about a failure into a sentence, its lines escaped.
    let lines = server.readyz.replace("\\n", "\n");
    let is_failed = |line: &&str| line.contains("[-]");
    let failed: Vec<String> = lines
        .lines()
        .filter(is_failed)
        .map(|line| line[line.find("[-]").unwrap_or(0)..].to_owned())
        .collect();
    let etcd = failed.iter().any(|line| line.starts_with("[-]etcd"));
    if etcd {
        chart.found(Cause::EtcdFailed, None, failed, "");
    } else if !failed.is_empty() || !server.readyz.contains("readyz check passed") {
        let last = server.readyz.lines().next_back().unwrap_or("no answer").to_owned();
        let evidence = if failed.is_empty() { vec![last] } else { failed };
        chart.found(Cause::ApiNotReady, None, evidence, "");
    } else {
        chart.well("api", "/readyz: ok");
    }
}
