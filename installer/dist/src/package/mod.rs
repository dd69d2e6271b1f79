//! The packages for hosts: what each holds, and the scripts that both kinds of package run.
//!
//! | what | where |
//! | --- | --- |
//! | the program | `/usr/bin` |
//! | the unit, which has its user and its directories made | `/usr/lib/systemd/system` |
//! | examples of configuration, which an upgrade leaves as they were changed | `/etc/nimbus` |
//! | state, which an upgrade and a removal leave alone and only Debian's purge removes | `/var/lib/nimbus/PART` |

pub mod deb;
pub mod rpm;

use std::path::Path;

use crate::program::{AGENT, COMMAND, CONTROL_PLANE, Program};
use crate::stage::Stage;

/// A package.
#[derive(Debug)]
pub struct Package {
    /// Its program, which has its name.
    pub program: &'static Program,
    /// How the program is run, where it runs by itself.
    pub service: Option<Service>,
}

/// A program that systemd runs.
#[derive(Debug)]
pub struct Service {
    /// Its own part of `/var/lib/nimbus`.
    state: &'static str,
    unit: &'static str,
    /// The file of `/etc/nimbus` with its secret, which an administrator makes and systemd hands over as a credential: its
    /// name, and the credential's.
    credential: (&'static str, &'static str),
    /// Files of `/etc/nimbus`: name, mode, text. The first one is the one to begin with.
    configuration: &'static [(&'static str, u16, &'static str)],
    /// Files beside the licence: name, text.
    examples: &'static [(&'static str, &'static str)],
}

/// The scripts, in the words of Debian. RPM runs the same ones at the same times, with a number as their argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scripts {
    /// Run once the files are in place.
    pub after_install: String,
    /// Run before the files are removed.
    pub before_removal: String,
    /// Run once the files are removed.
    pub after_removal: String,
}

/// Every package.
pub static ALL: [Package; 3] = [
    Package { program: &COMMAND, service: None },
    Package {
        program: &AGENT,
        service: Some(Service {
            state: "agent",
            credential: ("join-token", "nimbus-join-token"),
            unit: include_str!("../../packaging/nimbus-agent.service"),
            configuration: &[
                // Closed: a join token may stand in it. systemd reads it before it lets go of its rights.
                ("agent.env", 0o600, include_str!("../../packaging/agent.env")),
                ("policy.toml", 0o644, include_str!("../../packaging/policy.toml")),
            ],
            examples: &[
                ("acting.conf", include_str!("../../packaging/acting.conf")),
                ("reading.conf", include_str!("../../packaging/reading.conf")),
                ("units.rules", include_str!("../../packaging/units.rules")),
            ],
        }),
    },
    Package {
        program: &CONTROL_PLANE,
        service: Some(Service {
            state: "control-plane",
            credential: ("database-url", "nimbus-database-url"),
            unit: include_str!("../../packaging/nimbus-control-plane.service"),
            configuration: &[
                // Closed: a database's password may stand in it.
                ("control-plane.env", 0o600, include_str!("../../packaging/control-plane.env")),
                ("control-plane.toml", 0o644, include_str!("../../packaging/control-plane.toml")),
            ],
            examples: &[],
        }),
    },
];

impl Package {
    /// What it holds; `from` is the program's file.
    pub fn stage(&self, from: &Path, licence: &str) -> Stage {
        let name = self.program.name;
        let mut stage = Stage::default();
        stage.file(&format!("usr/bin/{name}"), 0o755, from);
        stage.directory(&format!("usr/share/doc/{name}"), 0o755, 0);
        stage.text(&format!("usr/share/doc/{name}/copyright"), 0o644, licence);
        let Some(service) = &self.service else { return stage };
        service.unit(name, "usr/lib/systemd/system", &mut stage);
        stage.directory("etc/nimbus", 0o755, 0);
        service.configure("etc/nimbus", &mut stage);
        service.exemplify(&format!("usr/share/doc/{name}"), &mut stage);
        stage
    }

    /// Its files of configuration, as absolute paths in order.
    pub fn configuration(&self) -> Vec<String> {
        let files = self.service.iter().flat_map(|service| service.configuration);
        files.map(|(file, ..)| format!("/etc/nimbus/{file}")).collect()
    }

    /// The scripts, where there is anything to run.
    pub fn scripts(&self) -> Option<Scripts> {
        let service = self.service.as_ref()?;
        let first = service.configuration.first().map_or("", |(file, ..)| *file);
        let filled = |text: &str| {
            text.replace("@NAME@", self.program.name)
                .replace("@STATE@", service.state)
                .replace("@CREDENTIAL@", service.credential.0)
                .replace("@CONFIGURATION@", first)
        };
        Some(Scripts {
            after_install: filled(include_str!("../../packaging/postinst")),
            before_removal: filled(include_str!("../../packaging/prerm")),
            after_removal: filled(include_str!("../../packaging/postrm")),
        })
    }
}

impl Service {
    /// Puts the unit into the folder `units`.
    pub fn unit(&self, name: &str, units: &str, stage: &mut Stage) {
        stage.text(&format!("{units}/{name}.service"), 0o644, self.unit);
    }

    /// Puts the examples of configuration into the folder `etc`.
    pub fn configure(&self, etc: &str, stage: &mut Stage) {
        for (file, mode, text) in self.configuration {
            stage.text(&format!("{etc}/{file}"), *mode, *text);
        }
    }

    /// Puts what a person may copy into the folder `doc`.
    pub fn exemplify(&self, doc: &str, stage: &mut Stage) {
        for (file, text) in self.examples {
            stage.text(&format!("{doc}/{file}"), 0o644, *text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_leave_no_placeholder_and_a_shell_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        for package in &ALL {
            let Some(scripts) = package.scripts() else { continue };
            for text in [scripts.after_install, scripts.before_removal, scripts.after_removal] {
                assert!(!text.contains('@'), "{text}");
                let path = dir.path().join("script");
                std::fs::write(&path, &text).unwrap();
                let status = std::process::Command::new("sh").arg("-n").arg(&path).status().unwrap();
                assert!(status.success(), "{text}");
            }
        }
    }

    #[test]
    fn a_unit_agrees_with_its_user_and_its_directory() {
        for package in &ALL {
            let Some(service) = &package.service else { continue };
            let name = package.program.name;
            assert!(service.unit.contains(&format!("ExecStart=/usr/bin/{name}")), "{name}");
            assert!(service.unit.contains(&format!("User={name}\n")), "{name}");
            assert!(service.unit.contains(&format!("StateDirectory=nimbus/{}\n", service.state)), "{name}");
            // The user of a dynamic one's name would be used instead, and would outlive the unit.
            assert!(service.unit.contains("DynamicUser=yes\n"), "{name}");
            let scripts = package.scripts().unwrap();
            for place in ["/var/lib/nimbus", "/var/lib/private/nimbus"] {
                assert!(scripts.after_removal.contains(&format!("{place}/{}", service.state)), "{name}");
            }
            for file in package.configuration() {
                assert!(service.unit.contains(&file), "{name} {file}");
            }
        }
    }

    #[test]
    fn a_unit_waits_for_its_program_watches_it_and_starts_without_the_file_of_its_credential() {
        for package in &ALL {
            let Some(service) = &package.service else { continue };
            let (file, credential) = service.credential;
            for line in [
                "Type=notify",
                "NotifyAccess=main",
                "WatchdogSec=60s",
                "Restart=on-failure",
                &format!("LoadCredential={credential}:/etc/nimbus/{file}"),
                // systemd 252 passes over an empty value, and then the missing file ends the start.
                &format!("SetCredential={credential}:\\n"),
            ] {
                assert!(service.unit.lines().any(|is| is == line), "{}: {line}", package.program.name);
            }
            // Both are newer than the systemd 252 of Debian 12 and RHEL 9, which passes over them with a warning.
            for newer in ["RestartSteps", "ImportCredential"] {
                assert!(!service.unit.contains(newer), "{newer}");
            }
            let scripts = package.scripts().unwrap();
            assert!(scripts.after_removal.contains(&format!("rm -f /etc/nimbus/{file}\n")));
        }
    }

    #[test]
    fn examples_of_configuration_can_be_read_as_they_are() {
        let tables = ALL.iter().filter_map(|package| package.service.as_ref());
        for (file, _, text) in tables.flat_map(|service| service.configuration) {
            if file.rsplit('.').next() == Some("toml") {
                assert!(toml::from_str::<toml::Table>(text).is_ok(), "{file}");
            } else {
                let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
                for line in lines {
                    assert!(line.starts_with("NIMBUS_") && line.contains('='), "{file}: {line}");
                }
            }
        }
    }
}
