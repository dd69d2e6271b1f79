//! The configuration files of a real node's programs.

use std::path::Path;

use serde_json::{Value, json};

use super::{ADDRESS, Place, images};

/// The network of the node's pods.
pub const PODS: &str = "10.244.77.0/24";

/// containerd: its state below `dir`, the CNI plugins of the distribution.
pub fn containerd(dir: &Path, plugins: &Path) -> String {
    let (dir, plugins, pause) = (dir.display(), plugins.display(), images::PAUSE);
    format!(
        r#"version = 3
root = "{dir}/containerd"
state = "{dir}/containerd-state"
[grpc]
  address = "{dir}/c.sock"
[ttrpc]
  address = "{dir}/c.sock.ttrpc"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{pause}"
[plugins.'io.containerd.cri.v1.runtime']
  enable_cdi = false
  # No limit can be raised without CAP_SYS_RESOURCE.
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{plugins}"]
  conf_dir = "{dir}/cni"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = false
"#
    )
}

/// The pods' network: a bridge with addresses of its own.
pub fn network() -> Value {
    json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [{
        "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": PODS}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }]})
}

/// The kubelet's configuration. As on any node that is set up with care, it serves with a certificate of the cluster's CA, takes
/// nobody's word without one or a token, and asks the API server what they may; `certificates` is where they are.
pub fn kubelet(place: Place, dir: &Path, certificates: &Path, longest_back_off: &str) -> Value {
    let file = |name: &str| certificates.join(name).display().to_string();
    let name = place.name();
    let mut config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": place.address().to_string(),
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": file("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": file(&format!("{name}.crt")),
        "tlsPrivateKeyFile": file(&format!("{name}.key")),
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": false,
        "failSwapOn": false,
        "nodeStatusUpdateFrequency": "4s",
        "containerRuntimeEndpoint": format!("unix://{}/c.sock", dir.display()),
        // The machine's disk is not the tests' business.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        // Nor are images that nobody uses just now, that of the sandboxes among them, there to be pulled again.
        "imageGCHighThresholdPercent": 100,
        "resolvConf": "",
        // Where a test serves names, that is where.
        "clusterDNS": [ADDRESS.to_string()],
        "clusterDomain": super::names::DOMAIN,
        "podLogsDir": dir.join("podlogs"),
        // How soon a volume that is over its limit is seen; a minute by default.
        "volumeStatsAggPeriod": "5s",
        "crashLoopBackOff": {"maxContainerRestartPeriod": longest_back_off},
        "featureGates": {"KubeletCrashLoopBackOffMax": true},
    });
    if place == Place::Second {
        // The first one has the port, and would take the second one's cgroups for those of pods that are gone.
        config["healthzPort"] = json!(0);
        config["cgroupRoot"] = json!(format!("/{name}"));
    }
    config
}

/// The kubelet's words.
pub fn kubelet_words(place: Place, dir: &Path, kubeconfig: &Path) -> Vec<String> {
    let at = |name: &str| dir.join(name).display().to_string();
    vec![
        format!("--config={}", at("kubelet.json")),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--root-dir={}", at("kubelet")),
        format!("--cert-dir={}", at("pki")),
        format!("--hostname-override={}", place.name()),
        format!("--node-ip={}", place.address()),
        "--v=1".to_owned(),
    ]
}

/// kube-proxy's words.
pub fn proxy_words(kubeconfig: &Path) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        "--proxy-mode=iptables".to_owned(),
        format!("--hostname-override={}", Place::First.name()),
        // No limit of the kernel can be raised.
        "--conntrack-max-per-core=0".to_owned(),
        format!("--cluster-cidr={PODS}"),
    ]
}
