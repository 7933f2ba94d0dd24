//! A copy of the user's repository that is fit for a rehearsal: keys of the rehearsal's own, no secrets of the user's.

use std::fs;
use std::path::Path;

use fleet::{Fleet, HostName, PublicKey, edit};
use remote::Cmd;

use crate::error::LabError;
use crate::machine::Machine;

const FLEET: &str = "hosts/fleet.toml";
const REHEARSAL: &str = "rehearsal";

pub(crate) fn load_fleet(repository: &Path) -> Result<Fleet, LabError> {
    let path = repository.join(FLEET);
    Ok(Fleet::parse(&fs::read_to_string(&path).map_err(LabError::io(path))?)?)
}

/// Copies what git knows or would not ignore, except the secrets, which nobody in the rehearsal could decrypt: gives their names.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<Vec<String>, LabError> {
    fs::create_dir_all(to).map_err(LabError::io(to))?;
    let list = Cmd::new("git").arg("-C").arg(from).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let list = list.label("git ls-files").run()?;
    let text = String::from_utf8_lossy(&list.stdout).into_owned();
    let (secrets, files): (Vec<&str>, Vec<&str>) =
        text.split('\0').filter(|name| !name.is_empty()).partition(|name| name.ends_with(".age"));
    for name in files {
        let (source, target) = (from.join(name), to.join(name));
        // Deleted but not committed, or a link to a folder: git lists both.
        if source.is_file() {
            let folder = target.parent().expect("a listed file is in the repository");
            fs::create_dir_all(folder).map_err(LabError::io(folder))?;
            fs::copy(&source, &target).map_err(LabError::io(&source))?;
        }
    }
    Ok(secrets.into_iter().map(str::to_owned).collect())
}

/// Writes the rehearsal's keys into its fleet.toml.
pub(crate) fn write_keys(repository: &Path, admin: &str, machines: &[Machine]) -> Result<Fleet, LabError> {
    let path = repository.join(FLEET);
    let text = fs::read_to_string(&path).map_err(LabError::io(&path))?;
    let text = with_keys(&text, admin, machines)?;
    fs::write(&path, &text).map_err(LabError::io(&path))?;
    Ok(Fleet::parse(&text)?)
}

fn with_keys(text: &str, admin: &str, machines: &[Machine]) -> Result<String, LabError> {
    let edit = |error: &dyn std::fmt::Display| LabError::Edit(error.to_string());
    let admin = PublicKey::new(admin).map_err(|error| edit(&error))?;
    let mut text = edit::clear_admins(text).map_err(|error| edit(&error))?;
    text = edit::set_admin(&text, REHEARSAL, &admin).map_err(|error| edit(&error))?;
    for machine in machines {
        let name = HostName::new(machine.name()).map_err(|error| edit(&error))?;
        let key = PublicKey::new(&machine.host_key()?).map_err(|error| edit(&error))?;
        text = edit::set_host_key(&text, &name, &key).map_err(|error| edit(&error))?;
    }
    Ok(text)
}
