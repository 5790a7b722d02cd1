//! The section on `shiren bench chain`.

use std::fmt::Write as _;

use serde_json::Value;

use super::Section;
use super::figures::{Bound, Target, shown};
use crate::bench::measurement::Measurement;

pub(super) const SECTION: Section = Section {
    name: "chain",
    title: "The chain",
    words,
    targets,
    tables,
};

const WORDS: &str = "```sh
shiren bench chain            # --json for one object, --rounds N, --keep FOLDER for the pictures
```

It takes each picture of [benches/chain.toml](../benches/chain.toml) as both pictures of a `compare` request through
all stages fused, from the request's bytes to the bytes of verdict and evidence, without a log, and measures the CPU
time of the process. Weights and threads are those of `topology.toml`. The pictures are enlarged and pasted from those
that set-up fetches, with grain added: no camera took them.

| field | |
| --- | --- |
| `overhead_ratio` | chain (without `quality` and `liveness`, which mostly look at pixels) / its own floor: the same model runs at the same input sizes on noise, and one libjpeg-turbo decode of each picture's bytes |
| `overhead_ratio_reduced_decode` | the same, the floor's decode as reduced as the chain's: what the chain itself costs, its saving at the decoder not counted |
| `reference_ratio` | chain / a frozen floor: CenterFace at 640x640, a full decode and one dlib run for each picture |
| `reference_ratio_selfies` | the same over the pictures marked as selfies |
| `quality_and_liveness_ratio` | the whole chain / the chain without the stages `quality` and `liveness` |
| `cpu_ms_per_case` | CPU of the whole chain for one case, two pictures |

How the time is saved stands in [decision 0010](decisions/0010-first-look.md); what it does to scores, in
[accuracy](accuracy.md).
";

fn words(_: Option<&Measurement>) -> String {
    WORDS.to_owned()
}

fn targets(measured: &Measurement) -> Vec<Target> {
    let bounds = [
        ("overhead_ratio", Bound::AtMost, ""),
        ("overhead_ratio_reduced_decode", Bound::AtMost, ""),
        ("reference_ratio", Bound::Below, "all pictures"),
        ("reference_ratio_selfies", Bound::Below, "selfies"),
        (
            "quality_and_liveness_ratio_selfies",
            Bound::AtMost,
            "selfies",
        ),
    ];
    let result = &measured.result;
    let mut targets = Vec::new();
    for (name, bound, words) in bounds {
        let limit = format!("/targets/{name}");
        let target = Target::of(result, &format!("/{name}"), bound, &limit, 3);
        targets.push(if words.is_empty() {
            target
        } else {
            target.named(words)
        });
    }
    targets
}

fn tables(measured: &Measurement) -> anyhow::Result<String> {
    let result = &measured.result;
    let columns = [
        ("overhead_ratio", 2),
        ("overhead_ratio_reduced_decode", 2),
        ("reference_ratio", 2),
        ("quality_and_liveness_ratio", 2),
        ("cpu_ms_per_case", 0),
    ];
    let mut table = String::from("| picture |");
    for (name, _) in &columns {
        // Writing to a String cannot fail.
        let _ = write!(table, " `{name}` |");
    }
    let _ = writeln!(table, "\n| --- |{}", " --- |".repeat(columns.len()));
    let mut row = |name: &str, figures: &Value| {
        let _ = write!(table, "| {name} |");
        for (column, decimals) in &columns {
            let _ = write!(
                table,
                " {} |",
                shown(figures, &format!("/{column}"), *decimals)
            );
        }
        table.push('\n');
    };
    let pictures = result.get("pictures").and_then(Value::as_array);
    for picture in pictures.into_iter().flatten() {
        let name = picture.get("name").and_then(Value::as_str);
        row(name.unwrap_or("unnamed"), picture);
    }
    row("all", result);
    if let Some(selfies) = result.get("reference_ratio_selfies") {
        let added = result.get("quality_and_liveness_ratio_selfies");
        row(
            "selfies",
            &serde_json::json!({ "reference_ratio": selfies, "quality_and_liveness_ratio": added }),
        );
    }
    Ok(table)
}
