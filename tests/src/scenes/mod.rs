//! The scenes: situations from the field, each with its right answer, played against the real product.
//!
//! What a scene is about and what is right is written in `tests/scenes/NAME.md`; its code is one file of the same name
//! below [`cluster`], [`node`] or [`host`], where each is one line of a list. A test (`tests/tests/scenes.rs`) fails
//! when one is without the other. `cargo xtask scenes` plays them.

macro_rules! scenes {
    ($on:ty: $($name:ident),+ $(,)?) => {
        $(mod $name;)+

        /// Every scene that is played here.
        pub(in crate::scenes) const SCENES: &[$crate::scenes::runner::Scene<$on>] = &[
            $($crate::scenes::runner::Scene {
                name: stringify!($name),
                play: |on| Box::pin($name::play(on)),
            },)+
        ];
    };
}

pub mod catalogue;
pub mod cluster;
pub mod containers;
pub mod ground;
pub mod host;
pub mod node;
pub mod objects;
pub mod pod_agent;
pub mod runner;
pub mod stage;
mod steps;
pub mod verdict;
