//! Alert rules of `deploy/prometheus/rules.yml`, evaluated over scrapes without a Prometheus: as much of its language as the
//! alerts need that tests ask for, and a panic for anything else.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;

use crate::site;
use crate::status::Scrape;

/// The rules.
pub struct Alerts {
    /// Expression of each recorded name, and of each alert.
    expressions: BTreeMap<String, String>,
}

impl Alerts {
    /// Reads them.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    pub fn of_deploy() -> Self {
        let file = site::root().join("deploy/prometheus/rules.yml");
        let text = std::fs::read_to_string(file).expect("the rules");
        let rules: Value = serde_saphyr::from_str(&text).expect("YAML");
        let groups = rules["groups"].as_array().expect("groups").iter();
        let all = groups.flat_map(|group| group["rules"].as_array().expect("rules"));
        let named = |rule: &Value| {
            let name = rule["record"].as_str().or(rule["alert"].as_str());
            let expression = rule["expr"].as_str().expect("an expression");
            (name.expect("a name").to_owned(), expression.to_owned())
        };
        Self {
            expressions: all.map(named).collect(),
        }
    }

    /// Whether the condition of an alert of the form `RECORD > NUMBER` holds, where the record is
    /// `sum by (...) (rate(METRIC[...]))`, for the scrapes of one process within the range. How long it must hold (`for`) is
    /// Prometheus' part.
    ///
    /// # Panics
    /// When it has another form.
    #[must_use]
    pub fn holds(&self, alert: &str, scrapes: &[(Instant, Scrape)]) -> bool {
        let condition = self.expression(alert);
        let (record, bound) = condition.split_once(" > ").expect("RECORD > NUMBER");
        let bound: f64 = bound.parse().expect("a number");
        let metric = metric_of_rate(self.expression(record)).expect("a sum of a rate");
        rate(metric, scrapes).is_some_and(|rate| rate > bound)
    }

    fn expression(&self, name: &str) -> &str {
        let expression = self.expressions.get(name);
        expression.unwrap_or_else(|| panic!("{name}: no such rule"))
    }
}

fn metric_of_rate(expression: &str) -> Option<&str> {
    let (_, inner) = expression
        .strip_prefix("sum by (")?
        .split_once(") (rate(")?;
    let (metric, range) = inner.split_once('[')?;
    range.strip_suffix("]))").map(|_| metric)
}

/// Growth a second between the first and the last scrape; `None` with fewer than two.
fn rate(metric: &str, scrapes: &[(Instant, Scrape)]) -> Option<f64> {
    let ((from, first), (to, last)) = (scrapes.first()?, scrapes.last()?);
    let seconds = to.duration_since(*from).as_secs_f64();
    (seconds > 0.0).then(|| (last.sum(metric, &[]) - first.sum(metric, &[])) / seconds)
}
