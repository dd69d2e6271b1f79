//! Does the control plane's volume get a place?

use super::Snapshot;
use crate::check::{Check, Judged, Outcome};
use crate::kubernetes::StorageClass;
use crate::needs::Class;
use crate::words::list;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "storage", what: "the control plane's volume has a StorageClass", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let needs = snapshot.needs()?;
    let Some(wanted) = needs.volumes.first() else {
        return Ok(Outcome::pass("the values need no volume"));
    };
    let classes = snapshot.classes.as_ref()?;
    let names: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
    let there =
        if names.is_empty() { "there is none".to_owned() } else { format!("there are {}", list(&names)) };
    Ok(match wanted {
        Class::None => Outcome::warning(
            "the values ask for a volume without a StorageClass: a person has to make it",
            "make a PersistentVolume that fits, or set persistence.storageClass",
        ),
        Class::Named(name) => match classes.iter().find(|class| &class.name == name) {
            Some(class) => one(class),
            None => Outcome::failure(
                format!("no StorageClass is called {name}, which the values name; {there}"),
                "correct persistence.storageClass, or make that class",
            ),
        },
        Class::Default => {
            let defaults: Vec<&StorageClass> = classes.iter().filter(|class| class.is_default).collect();
            match defaults.as_slice() {
                [] => Outcome::failure(
                    format!("no StorageClass is the default one; {there}"),
                    "name one in the value persistence.storageClass, or make one the default: kubectl annotate \
                     storageclass NAME storageclass.kubernetes.io/is-default-class=true",
                ),
                [class] => one(class),
                several => Outcome::warning(
                    format!(
                        "several StorageClasses are the default one: {}; the newest of them is taken",
                        list(&several.iter().map(|class| class.name.as_str()).collect::<Vec<_>>())
                    ),
                    "name one in the value persistence.storageClass",
                ),
            }
        }
    })
}

fn one(class: &StorageClass) -> Outcome {
    let name = &class.name;
    if class.provisions {
        Outcome::pass(format!("StorageClass {name}"))
    } else {
        Outcome::warning(
            format!("StorageClass {name} makes no volumes by itself (kubernetes.io/no-provisioner)"),
            format!(
                "make a PersistentVolume of the class {name} first, or name another class in persistence.storageClass"
            ),
        )
    }
}
