//! The table set that this build carries.

use std::sync::OnceLock;

/// The built-in table set, in the text form that is published and hashed (`docs/TABLES.md`).
///
/// Joined once: the same text, to the byte, for every caller of one build.
pub fn builtin() -> &'static str {
    static SET: OnceLock<String> = OnceLock::new();
    SET.get_or_init(|| {
        let mut set = String::new();
        for (name, content) in FILES {
            set.extend(["== ", name, " ", &content.len().to_string(), "\n", content]);
        }
        set
    })
}

/// Ascending by name, as the parser wants them.
const FILES: [(&str, &str); 15] = [
    ("chains.csv", include_str!("../../../tables/chains.csv")),
    ("fingerprints.csv", include_str!("../../../tables/fingerprints.csv")),
    ("forms.csv", include_str!("../../../tables/forms.csv")),
    ("grades.csv", include_str!("../../../tables/grades.csv")),
    ("invoices.csv", include_str!("../../../tables/invoices.csv")),
    ("materials.csv", include_str!("../../../tables/materials.csv")),
    ("origins.csv", include_str!("../../../tables/origins.csv")),
    ("oxides.csv", include_str!("../../../tables/oxides.csv")),
    ("parameters.csv", include_str!("../../../tables/parameters.csv")),
    ("permissions.csv", include_str!("../../../tables/permissions.csv")),
    ("prices.csv", include_str!("../../../tables/prices.csv")),
    ("processes.csv", include_str!("../../../tables/processes.csv")),
    ("regions.csv", include_str!("../../../tables/regions.csv")),
    ("residues.csv", include_str!("../../../tables/residues.csv")),
    ("wastes.csv", include_str!("../../../tables/wastes.csv")),
];
