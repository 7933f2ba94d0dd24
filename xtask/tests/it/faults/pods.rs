//! Draining real pods: on a real K3s alone, since the stand-in has none. Needs an image that waits to be told to stop, as
//! `XTASK_TEST_IMAGE` names one: `rehearsal.invalid/wait:1`, which ignores SIGTERM where STUBBORN is set.

use lab::Lab;

use super::battery::{Expected, battery, wait_for};
use crate::each_k3s::Rehearsal;
use crate::support::{configure, on, xtask};

mod real {
    #[test]
    fn pods_leave_a_node_that_is_drained_or_keep_it_from_being_touched() {
        let name = "pods_leave_a_node_that_is_drained_or_keep_it_from_being_touched";
        if let Some(rehearsal) = crate::each_k3s::Rehearsal::with_real(module_path!(), name) {
            super::pods_leave_a_node_that_is_drained_or_keep_it_from_being_touched(&rehearsal);
        }
    }
}

/// Two pods with an emptyDir, which have to be on maia, and one of a daemon set on each host.
const WORKLOAD: &str = r#"
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec:
  replicas: 2
  serviceName: web
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      tolerations: [{operator: Exists}]
      terminationGracePeriodSeconds: 2
      nodeSelector: {kubernetes.io/hostname: maia}
      containers:
      - {name: wait, image: "rehearsal.invalid/wait:1", imagePullPolicy: Never, volumeMounts: [{name: scratch, mountPath: /scratch}]}
      volumes: [{name: scratch, emptyDir: {}}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: everywhere}
spec:
  selector: {matchLabels: {app: everywhere}}
  template:
    metadata: {labels: {app: everywhere}}
    spec:
      tolerations: [{operator: Exists}]
      containers: [{name: wait, image: "rehearsal.invalid/wait:1", imagePullPolicy: Never}]
"#;

const BARE: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: bare}
spec:
  tolerations: [{operator: Exists}]
  nodeName: maia
  containers: [{name: wait, image: "rehearsal.invalid/wait:1", imagePullPolicy: Never}]
"#;

const BUDGET: &str = "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web}, \
                      spec: {minAvailable: 2, selector: {matchLabels: {app: web}}}}";

fn apply(lab: &Lab, manifest: &str) {
    on(lab, "ocean", &format!("k3s kubectl apply -f - <<'END'\n{manifest}\nEND"));
}

/// So many of its two pods run on maia.
fn running(lab: &Lab) -> usize {
    let pods = "k3s kubectl get pods -l app=web --field-selector status.phase=Running --no-headers 2> /dev/null | wc -l";
    on(lab, "ocean", pods).parse().unwrap()
}

fn is_cordoned(lab: &Lab) -> bool {
    on(lab, "ocean", "k3s kubectl get node maia -o json").contains("\"unschedulable\": true")
}

fn pods_leave_a_node_that_is_drained_or_keep_it_from_being_touched(rehearsal: &Rehearsal) {
    battery(rehearsal, &[], |battery| {
        let lab = battery.lab;
        apply(lab, WORKLOAD);
        wait_for("the pods run", 60, || running(lab) == 2);
        let drained = Expected {
            outcome: "they leave, the daemon set's stays; the node takes work again",
            code: 0,
            says: "takes work again",
            changed: &["maia"],
        };
        battery.fault("a drain of pods with an emptyDir and of a daemon set", &drained, |lab| {
            configure(lab, "maia", "environment.etc.drained.text = \"\";");
            xtask(lab, &["deploy", "maia", "--drain"])
        });
        wait_for("the pods run again", 60, || running(lab) == 2);
        on(
            lab,
            "ocean",
            "k3s kubectl set env statefulset/web STUBBORN=1 && k3s kubectl rollout status statefulset/web --timeout 60s",
        );
        battery.fault("a drain of pods that ignore SIGTERM", &drained, |lab| {
            configure(lab, "maia", "environment.etc.stubborn.text = \"\";");
            xtask(lab, &["deploy", "maia", "--drain"])
        });
        wait_for("the pods run again", 60, || running(lab) == 2);

        let kept = |says| Expected {
            outcome: "nothing is touched, the node takes work again",
            code: 7,
            says,
            changed: &[],
        };
        apply(lab, BUDGET);
        wait_for("the budget counts", 30, || {
            on(lab, "ocean", "k3s kubectl get poddisruptionbudget web -o json")
                .contains("\"currentHealthy\": 2")
        });
        battery.fault(
            "a drain that a disruption budget does not allow",
            &kept("a disruption budget keeps default/web-0, default/web-1 there"),
            |lab| {
                configure(lab, "maia", "environment.etc.budget.text = \"\";");
                let answer = xtask(lab, &["deploy", "maia", "--drain=5"]);
                assert!(!is_cordoned(lab));
                answer
            },
        );
        on(lab, "ocean", "k3s kubectl delete poddisruptionbudget web");
        apply(lab, BARE);
        battery.fault(
            "a drain of a pod without a controller",
            &kept("default/bare has no controller"),
            |lab| {
                configure(lab, "maia", "environment.etc.bare.text = \"\";");
                let answer = xtask(lab, &["deploy", "maia", "--drain=5"]);
                assert!(!is_cordoned(lab));
                answer
            },
        );
    });
}
