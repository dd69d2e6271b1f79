//! The names of systemd services: which are names at all, which a policy's entry stands for, and which are never started
//! again whatever a policy says.

/// What an entry of `units` and `deny_units` must be.
pub const EXPECTED: &str =
    "a service's whole name, such as nginx.service, or name@*.service for all instances of a template";

/// Longest name, bytes: what systemd accepts.
const MAX_NAME: usize = 255;

/// This agent's own unit.
const OWN: &str = "nimbus-agent.service";

/// Can it be a unit's name, of whatever type?
pub fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME && name.contains('.') && name.bytes().all(is_known)
}

fn is_known(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte)
}

/// Is it a service's whole name?
pub fn is_service(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".service") else { return false };
    // A name that ends with `@` is a template, and no unit that could run.
    name.len() <= MAX_NAME && !stem.is_empty() && !stem.ends_with('@') && stem.bytes().all(is_known)
}

/// Can it be an entry of a policy?
pub fn is_pattern(entry: &str) -> bool {
    is_service(entry)
        || entry.strip_suffix("@*.service").is_some_and(|stem| is_service(&format!("{stem}.service")))
}

/// Does an entry of a policy stand for this unit?
pub fn names(entry: &str, unit: &str) -> bool {
    match entry.strip_suffix("*.service") {
        Some(template) => {
            unit.strip_prefix(template).is_some_and(|rest| rest != ".service" && is_service(unit))
        }
        None => entry == unit,
    }
}

/// Why this unit is never started again, if it is one of those.
pub fn never(unit: &str) -> Option<&'static str> {
    let of_systemd =
        unit.starts_with("systemd-") || unit.starts_with("user@") || unit.starts_with("user-runtime-dir@");
    match unit {
        OWN => Some("it is this agent itself"),
        "dbus.service" | "dbus-broker.service" | "polkit.service" => {
            Some("the agent asks systemd by way of it, and its end takes others with it")
        }
        "emergency.service" | "rescue.service" => Some("it takes the host out of service"),
        _ if of_systemd => Some("it is a part of systemd, which looks after it"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_a_whole_name_and_a_template_has_instances() {
        for good in ["nginx.service", "worker@a.service", r"a\x2db.service", "a.b_c:d-1.service"] {
            assert!(is_service(good) && is_pattern(good), "{good}");
        }
        let long = format!("{}.service", "a".repeat(248));
        for bad in [
            "nginx",
            ".service",
            "worker@.service",
            "a b.service",
            "a/b.service",
            "*.service",
            "a.timer",
            &long,
        ] {
            assert!(!is_service(bad), "{bad}");
        }
        assert!(is_pattern("worker@*.service"));
        for bad in
            ["*.service", "w*.service", "@*.service", "worker@a*.service", "worker@*.timer", "[ab]@*.service"]
        {
            assert!(!is_pattern(bad), "{bad}");
        }
    }

    #[test]
    fn an_entry_stands_for_its_unit_or_for_every_instance() {
        assert!(names("nginx.service", "nginx.service") && !names("nginx.service", "nginx2.service"));
        assert!(
            names("worker@*.service", "worker@a.service")
                && names("worker@*.service", r"worker@a\x2db.service")
        );
        for other in
            ["worker.service", "worker@.service", "worker@a.timer", "other@a.service", "worker@a b.service"]
        {
            assert!(!names("worker@*.service", other), "{other}");
        }
    }

    #[test]
    fn what_everything_else_stands_on_is_left_alone() {
        for never_one in [
            "nimbus-agent.service",
            "dbus.service",
            "systemd-logind.service",
            "user@1000.service",
            "rescue.service",
        ] {
            assert!(never(never_one).is_some(), "{never_one}");
        }
        for one in ["nginx.service", "nimbus-control-plane.service", "kubelet.service", "users.service"] {
            assert_eq!(never(one), None, "{one}");
        }
    }
}
