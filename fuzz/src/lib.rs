//! The bodies of the fuzz targets, and the honest ledger that they measure by.

#![allow(dead_code, unreachable_pub, reason = "shared with the house's tests, used in parts")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a target fails by panicking")]

#[path = "../../tests/common/artefacts.rs"]
mod artefacts;
pub mod bodies;
#[path = "../../tests/common/forge.rs"]
mod forge;
#[path = "../../tests/common/forge_world.rs"]
mod forge_world;

/// Runs a target by its name.
pub fn run(name: &str, data: &[u8]) {
    let target = bodies::TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of the table").run)(data);
}
