//! The cause `image_pull`: an image cannot be pulled because its reference is wrong or the registry refuses it.

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use super::{Agreement, Cause, pods};
use crate::assessment::{Finding, Place};
use crate::model::{Incident, IncidentKind, ObjectRef, Scope, Severity};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::{Container, Inventory};

pub(super) struct ImagePull;

impl Cause for ImagePull {
    fn needs(&self) -> &'static [ObjectKind] {
        pods::NEEDS
    }

    fn depth(&self) -> u8 {
        2
    }

    fn key_word(&self) -> &'static str {
        "image"
    }

    fn detect(&self, place: Place<'_>, _: &Settings) -> Vec<Finding> {
        pods::findings(IncidentKind::ImagePull, place, Container::cannot_pull_image, |container| {
            vec![format!(
                "container {} cannot get its image {} ({})",
                container.name, container.image, container.reason
            )]
        })
    }

    fn is_due(&self, s: &Snapshot<'_>, object: &ObjectRef, scope: &Scope, now: Timestamp) -> bool {
        pods::is_due(s, object, scope, now)
    }

    fn title(&self, finding: &Finding, _pods: usize) -> String {
        format!("{}: container {} cannot get its image", finding.subject(), finding.container)
    }

    fn severity(&self, finding: &Finding, inventory: Option<&Inventory>) -> Severity {
        pods::severity(finding, inventory)
    }

    fn recovered(&self, s: &Snapshot<'_>, incident: &Incident, now: Timestamp) -> Option<String> {
        pods::recovered(s, incident, now)
    }

    fn agreement(&self, s: &Snapshot<'_>, incident: &Incident) -> Agreement {
        pods::agreement(s, incident)
    }

    fn recommendation(&self, _: &Snapshot<'_>, _: &Incident) -> String {
        self.sentence().to_owned()
    }

    fn sentence(&self) -> &'static str {
        "an image cannot be pulled: check its name and tag, the registry and the pull secret; Nimbus does not restart \
         the pod, a new one would need the same image"
    }
}
