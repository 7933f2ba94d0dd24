//! Each cause on real machines: broken, found alone, mended, well again.

use crate::support::{Answer, in_lab, on, xtask};
use lab::Lab;

#[test]
fn try_it() {
    in_lab("doctor::try_it", |lab| {
        xtask(lab, &["bootstrap-cluster"]).expect(0);
        let a = xtask(lab, &["doctor", "-v"]);
        println!("{}\n{}\n{}", a.code, a.stdout, a.stderr);
        println!("{}", on(lab, "maia", "ip -d link show flannel.1; ss -ltn; k3s certificate check 2>&1 | head -3; systemctl status k3s --no-pager | tail -20"));
    });
}
