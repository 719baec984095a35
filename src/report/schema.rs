//! The JSON Schemas of what is written for machines, as they are shipped in `schemas/`.

/// Name and text of each.
pub const SCHEMAS: [(&str, &str); 3] = [
    ("report", include_str!("../../schemas/report.schema.json")),
    ("flow", include_str!("../../schemas/flow.schema.json")),
    ("rules", include_str!("../../schemas/rules.schema.json")),
];
