//! Tests of the mounts of volumes of one's own in both charts, with the real helm: neither over what the chart mounts nor of a
//! volume that is not there. Nothing is installed.

use nimbus_tests::helm::{AGENT, BACKUP, CONTROL_PLANE as PLANE, assert_accepted, assert_refused};

/// A volume by its name, mounted at a path.
fn mount(volume: &str, path: &str) -> String {
    format!("extraVolumeMounts[0].name={volume},extraVolumeMounts[0].mountPath={path}")
}

#[test]
fn nothing_is_mounted_over_what_the_chart_mounts() {
    let with = |path: &str| format!("extraVolumes[0].name=x,{}", mount("x", path));
    for chart in [PLANE, AGENT] {
        for path in [
            "/etc/nimbus",
            "/etc/nimbus/",
            "/etc//nimbus",
            "/etc/./nimbus/.",
            "/etc/x/../nimbus",
            "/../etc/nimbus",
            "etc/nimbus",
        ] {
            let found = format!("found \"{path}\"");
            assert_refused(chart, &with(path), &["extraVolumeMounts", "/etc/nimbus is one", &found]);
        }
        for path in ["/srv", "/srv/", "/etc/nimbus-more/", "/etc/nimbus/../other", "/etc/ssl"] {
            assert_accepted(chart, &with(path));
        }
        // What is read-only has no place for a mount, and below one at /etc the chart's own would be made in it.
        for (path, near) in [
            ("/etc/nimbus/more", "no path in"),
            ("etc//nimbus/x/..//more/", "no path in"),
            ("/etc", "no path around"),
            ("/etc/nimbus/../", "no path around"),
        ] {
            let found = format!("found \"{path}\"");
            let words = ["extraVolumeMounts: expected", near, "/etc/nimbus is one", &found];
            assert_refused(chart, &with(path), &words);
        }
    }
    for path in ["/tmp/", "/backups/.", "/var/lib//nimbus/data"] {
        assert_refused(PLANE, &with(path), &["extraVolumeMounts", path]);
    }
    assert_refused(
        AGENT,
        &with("/var/lib/nimbus-agent/"),
        &["extraVolumeMounts", "/var/lib/nimbus-agent is one"],
    );
    // What is mounted over a single file of the policy would never be renewed, and over what stops the agents would stop none.
    for file in ["nimbus/policy.toml", "nimbus-stop", "nimbus-stop/x", "nimbus-stop/x/y"] {
        assert_refused(AGENT, &with(&format!("/etc/{file}")), &["extraVolumeMounts", file]);
    }
    for (chart, own, free) in [
        (PLANE, ["/var", "/var/lib/", "/var/lib/nimbus/x", "/etc/nimbus-keys/x", "/backups/x"], "/tmp/x"),
        (
            AGENT,
            [
                "/var/lib",
                "/var/lib/nimbus-agent/x",
                "/var/run",
                "/var/run/secrets",
                "/var/run/secrets/nimbus/x",
            ],
            "/var/run/x",
        ),
    ] {
        for path in own {
            let found = format!("found \"{path}\"");
            assert_refused(chart, &with(path), &["extraVolumeMounts", "the chart's own volumes", &found]);
        }
        assert_accepted(chart, &with(free));
    }
    // Over the program another one would be started, or none.
    for (chart, program) in [(PLANE, "/usr/bin/nimbus-control-plane"), (AGENT, "/usr/bin/nimbus-agent")] {
        for path in ["/usr", "/usr/bin/", "/usr/x/../bin", program] {
            let found = format!("found \"{path}\"");
            assert_refused(chart, &with(path), &["extraVolumeMounts", "over the program", program, &found]);
        }
        let inside = format!("{program}/x");
        assert_refused(chart, &with(&inside), &["extraVolumeMounts", "over the program", program]);
        for path in ["/usr/share/ca-certificates", "/usr/bin/other", "/usr/local"] {
            assert_accepted(chart, &with(path));
        }
    }
    // The pod of the backup, which is given these mounts too, has another one.
    let program = "/usr/bin/nimbus";
    assert_accepted(PLANE, &with(program));
    assert_refused(
        PLANE,
        &format!("{BACKUP},{}", with(program)),
        &["extraVolumeMounts", "over the program", program],
    );
    // A file of the nodes has its path in the pod too.
    let beside = format!("hostAccess.files[0].path=/etc/ssh,{}", with("/etc/ssh/"));
    assert_refused(AGENT, &beside, &["extraVolumeMounts", "/etc/ssh is one"]);
    assert_refused(AGENT, &format!("{beside}x"), &["extraVolumeMounts", "/etc/ssh is one"]);
    assert_accepted(AGENT, &with("/etc/ssh/"));
}

/// Kubernetes would say so only of the pods, after the release is there.
#[test]
fn a_mount_names_a_volume_that_is_there_and_leaves_the_root_alone() {
    let named = |path: &str| format!("found \"{path}\"");
    for (chart, own, volumes) in [(PLANE, "tmp", "data, tmp"), (AGENT, "state", "state, policy, stop, proof")]
    {
        let words = ["extraVolumeMounts", "\"/srv\"", "extraVolumes", volumes, "found \"x\""];
        assert_refused(chart, &mount("x", "/srv"), &words);
        assert_refused(chart, &format!("extraVolumes[0].name=y,{}", mount("x", "/srv")), &words);
        assert_accepted(chart, &format!("extraVolumes[0].name=x,{}", mount("x", "/srv")));
        assert_accepted(chart, &mount(own, "/srv"));
        for root in ["/", "//", "/.", "/srv/..", "."] {
            let values = format!("extraVolumes[0].name=x,{}", mount("x", root));
            assert_refused(chart, &values, &["extraVolumeMounts", "below /", &named(root), "\"x\""]);
        }
    }
    // A volume of the chart is there only with what it is for.
    for (chart, volume, with) in [
        (PLANE, "keys", "keys.existingSecret=k"),
        (AGENT, "host-0", "hostAccess.files[0].path=/etc/ssh"),
        (AGENT, "host-bus", "hostAccess.units=true"),
    ] {
        assert_refused(chart, &mount(volume, "/srv"), &["extraVolumeMounts", &named(volume)]);
        assert_accepted(chart, &format!("{with},{}", mount(volume, "/srv")));
    }
    // The pod of the backup is given the mounts too.
    let backup = |volume: &str| format!("{BACKUP},{}", mount(volume, "/srv"));
    assert_refused(PLANE, &backup("tmp"), &["extraVolumeMounts", "the pod of the backup", "found \"tmp\""]);
    assert_accepted(PLANE, &backup("data"));
}

/// Kubernetes refuses the workload for these, after other objects were made.
#[test]
fn no_two_mounts_have_one_path_and_what_is_mounted_is_in_its_volume() {
    for (chart, own) in [(PLANE, "tmp"), (AGENT, "state")] {
        let second = |path: &str| {
            format!(
                "{},extraVolumeMounts[1].name={own},extraVolumeMounts[1].mountPath={path}",
                mount(own, "/srv")
            )
        };
        assert_refused(chart, &second("/srv"), &["extraVolumeMounts", "another path for each", "/srv"]);
        assert_refused(chart, &second("/srv/."), &["extraVolumeMounts", "another path for each"]);
        assert_accepted(chart, &second("/srv/more"));
        for (field, path, is_right) in [
            ("subPath", "../b", false),
            ("subPath", "/b", false),
            ("subPath", "a/../b", false),
            ("subPathExpr", "/b", false),
            ("subPath", "a..b/c", true),
            ("subPathExpr", "$(POD)/b", true),
        ] {
            let values = format!("{},extraVolumeMounts[0].{field}={path}", mount(own, "/srv"));
            if is_right {
                assert_accepted(chart, &values);
            } else {
                let name = format!("extraVolumeMounts.{field}");
                assert_refused(chart, &values, &[&name, "a path in the volume", path]);
            }
        }
        let both = format!(
            "{},extraVolumeMounts[0].subPath=a,extraVolumeMounts[0].subPathExpr=b",
            mount(own, "/srv")
        );
        assert_refused(
            chart,
            &both,
            &["extraVolumeMounts", "either a subPath or a subPathExpr", "found both"],
        );
        assert_refused(chart, &mount(own, "/srv:x"), &["extraVolumeMounts", "without a colon", "/srv:x"]);
        for (path, of) in [("/proc", "/proc"), ("/proc/x", "/proc"), ("/sys/", "/sys"), ("/dev", "/dev")] {
            assert_refused(chart, &mount(own, path), &["extraVolumeMounts", of, "of the pod itself"]);
        }
        assert_accepted(chart, &mount(own, "/dev/shm"));
    }
}

/// The pods would start the nodes' program, or not find the control plane by its name.
#[test]
fn files_of_the_nodes_leave_the_pods_their_program_and_their_names() {
    let files = |path: &str| format!("hostAccess.files[0].path={path}");
    for (path, of_the_pod) in [
        ("/usr", "/usr/bin/nimbus-agent"),
        ("/usr/bin", "/usr/bin/nimbus-agent"),
        ("/usr/bin/nimbus-agent", "/usr/bin/nimbus-agent"),
        ("/etc/resolv.conf", "/etc/resolv.conf"),
        ("/etc/hosts", "/etc/hosts"),
        ("/etc/hostname", "/etc/hostname"),
    ] {
        let found = format!("found \"{path}\"");
        assert_refused(AGENT, &files(path), &["hostAccess.files", of_the_pod, "of the pod itself", &found]);
    }
    for path in ["/usr/bin/kubelet", "/usr/lib/systemd/system", "/etc/hosts.allow", "/etc/ssh"] {
        assert_accepted(AGENT, &files(path));
    }
}

/// Kubernetes refuses the workload for these, after other objects were made.
#[test]
fn variables_and_volumes_have_one_source() {
    for chart in [PLANE, AGENT] {
        for (values, words) in [
            (
                "extraEnv[0].name=A,extraEnv[0].value=x,extraEnv[0].valueFrom.secretKeyRef.name=s",
                ["extraEnv: expected for \"A\"", "value and valueFrom.secretKeyRef"],
            ),
            (
                "extraEnv[0].name=A,extraEnv[0].valueFrom.secretKeyRef.name=s,extraEnv[0].valueFrom.fieldRef.fieldPath=x",
                ["extraEnv: expected for \"A\"", "valueFrom.fieldRef and valueFrom.secretKeyRef"],
            ),
            (
                "extraEnvFrom[0].secretRef.name=s,extraEnvFrom[0].configMapRef.name=c",
                ["extraEnvFrom: expected in each", "configMapRef and secretRef"],
            ),
            ("extraEnvFrom[0].prefix=s", ["extraEnvFrom: expected in each", "neither"]),
            (
                "extraVolumes[0].name=v,extraVolumes[0].secret.secretName=s,extraVolumes[0].configMap.name=c",
                ["extraVolumes: expected for \"v\" one source", "configMap and secret"],
            ),
        ] {
            assert_refused(chart, values, &words);
        }
        for values in [
            "extraEnv[0].name=A,extraEnv[0].value=x,extraEnv[1].name=B,extraEnv[1].valueFrom.secretKeyRef.name=s",
            "extraEnv[0].name=A",
            "extraEnv[0].name=A,extraEnv[0].value=,extraEnv[0].valueFrom.secretKeyRef.name=s",
            "extraEnvFrom[0].prefix=s,extraEnvFrom[0].secretRef.name=s,extraEnvFrom[1].configMapRef.name=c",
            "extraVolumes[0].name=v,extraVolumes[0].secret.secretName=s",
        ] {
            assert_accepted(chart, values);
        }
    }
}
