//! What the environment overrides.

use crate::codes;
use crate::hints::did_you_mean;
use crate::settings::{Kind, SETTINGS};
use crate::values::{Item, Origin, Value, Values};

impl Values {
    /// Applies the variables that are ours.
    pub fn environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        const PROPERTY: &str = "SHIREN_KAFKA_PROPERTY_";
        const KNOWN: &[(&str, &str)] = &[
            ("SHIREN_LOG_ENGINE", "log.engine"),
            ("SHIREN_LIBRARY_ENGINE", "library.engine"),
            ("SHIREN_LIBRARY_URL", "library.url"),
            ("SHIREN_TELEMETRY_LISTEN", "telemetry.listen"),
            (
                "SHIREN_KAFKA_BOOTSTRAP_SERVERS",
                "log.kafka.bootstrap_servers",
            ),
        ];
        for (variable, value) in variables {
            // Compose files and unit files pass unset variables on as empty ones.
            if !variable.starts_with("SHIREN_") || value.is_empty() {
                continue;
            }
            let origin = Origin::Variable(variable.clone());
            if let Some((_, path)) = KNOWN.iter().find(|(known, _)| *known == variable) {
                let form = SETTINGS.iter().find(|s| s.path == *path).map(|s| s.kind);
                if let Some(Kind::Text(form)) = form
                    && self.text_fits(form, path, &origin, &value)
                {
                    self.set(path, Value::Text(value), origin);
                    self.given.insert((*path).to_owned());
                }
            } else if let Some(rest) = variable.strip_prefix(PROPERTY).filter(|r| !r.is_empty()) {
                let name = rest.to_ascii_lowercase().replace('_', ".");
                self.properties.insert(
                    name,
                    Item {
                        text: value,
                        path: String::new(),
                        origin,
                    },
                );
            } else {
                let known: Vec<&str> = KNOWN.iter().map(|(known, _)| *known).collect();
                let hint = if variable.starts_with("SHIREN_KAFKA_PROP") {
                    Some("librdkafka properties are SHIREN_KAFKA_PROPERTY_SASL_PASSWORD and the like".to_owned())
                } else {
                    did_you_mean(&variable, known, 0.85)
                };
                if hint.is_some() {
                    self.error(
                        codes::UNKNOWN_VARIABLE,
                        &origin,
                        "",
                        "nothing reads this variable",
                        hint,
                    );
                }
            }
        }
    }
}
