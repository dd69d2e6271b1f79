//! An image that cannot be pulled: the reference is wrong or the registry does not give it.

use super::{Finding, pods};
use crate::model::IncidentKind;
use crate::settings::Settings;
use crate::world::Inventory;

pub(super) fn detect(cluster: &str, inventory: &Inventory, _: &Settings) -> Vec<Finding> {
    pods::findings(
        IncidentKind::ImagePull,
        cluster,
        inventory,
        crate::world::Container::lacks_image,
        |container| {
            vec![format!(
                "container {} cannot get its image {} ({})",
                container.name, container.image, container.reason
            )]
        },
    )
}
