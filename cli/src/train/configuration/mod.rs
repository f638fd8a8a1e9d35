//! What a configuration says: its text, its tables, and what is wrong with them.

mod held_out;
mod source;
mod tables;

pub(crate) use held_out::HeldOut;
pub(crate) use source::Source;
pub(crate) use tables::{
    Configuration, ConversionTable, DataKind, DataTable, DecodedTable, LossName, LossTable, MetricKind, ModelTable, Network,
    OptimizerKind, OptimizerTable, ScheduleKind, ScheduleTable,
};

/// All keys, for people.
pub(crate) const REFERENCE: &str = include_str!("reference.txt");

#[cfg(test)]
mod tests {
    use super::{Configuration, REFERENCE};

    /// The keys that a table has, as the refusal of another says them.
    fn keys(table: &str) -> Vec<String> {
        let before = match table {
            "model" => "",
            "loss" => "[model]\n",
            _ => "[model]\n[loss]\nkind = \"l1\"\nprediction = \"x\"\n",
        };
        let text = format!("{before}[{table}]\nno_such_key = 1\n");
        let error = toml::from_str::<Configuration>(&text).expect_err("a key that no table has");
        let keys: Vec<String> = error.message().split('`').skip(3).step_by(2).map(String::from).collect();
        assert!(error.message().starts_with("unknown field") && !keys.is_empty(), "{table}: {error}");
        keys
    }

    #[test]
    fn the_reference_names_every_key() {
        let words: Vec<&str> = REFERENCE.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        for table in ["model", "loss", "data", "optimizer", "schedule", "training", "checkpoints", "output"] {
            assert!(REFERENCE.contains(&format!("\n[{table}]")), "{table}");
            for key in keys(table) {
                assert!(words.contains(&key.as_str()), "{table}.{key}");
            }
        }
    }
}
