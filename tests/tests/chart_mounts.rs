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
    }
}
