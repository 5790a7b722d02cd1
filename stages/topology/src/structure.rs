//! Rules about the chain, its segments and what its stages read and write.

use shiren_contract::stage::StageDescriptor;
use shiren_schemas::records::RequestKind;

use crate::codes;
use crate::hints::did_you_mean;
use crate::values::{Item, Origin, Values};

/// Internal topic families `shiren.<name>.`; stage names are reserved for the same reason.
const INTERNAL_FAMILIES: &[&str] = &["state", "attempts", "policy", "library"];

/// A stage and where the chain names it.
struct Link {
    stage: StageDescriptor,
    item: Item,
}

/// Checks all of it.
pub(crate) fn check(values: &mut Values, stages: &[StageDescriptor]) {
    tenants(values, stages);
    let chain = values.whole_list("chain");
    let links = chain
        .as_deref()
        .and_then(|chain| links(values, chain, stages));
    if let Some(links) = &links {
        edges(values, links);
        unread_outputs(values, links);
        checks(values, links);
    }
    segments(values, chain.as_deref(), stages);
    if let Some(links) = &links {
        entrances(values, links);
    }
}

fn tenants(values: &mut Values, stages: &[StageDescriptor]) {
    for tenant in values.list("tenants").unwrap_or_default() {
        let name = tenant.text.as_str();
        if INTERNAL_FAMILIES.contains(&name) || stages.iter().any(|stage| stage.name == name) {
            let what = format!("the topics shiren.{name}.* are internal");
            let hint = "choose another name for the tenant";
            values.error_at(codes::TENANT_RESERVED, &tenant, what, hint);
        }
    }
}

fn unknown_stage(values: &mut Values, item: &Item, stages: &[StageDescriptor]) {
    let names: Vec<&str> = stages.iter().map(|stage| stage.name).collect();
    let hint = did_you_mean(&item.text, names.iter().copied(), 0.6)
        .unwrap_or_else(|| format!("one of {}", names.join(", ")));
    let what = format!("there is no stage {:?}", item.text);
    values.error_at(codes::UNKNOWN_STAGE, item, what, hint);
}

/// The chain's stages, when all are known and the head is right: else edges say nothing.
fn links(values: &mut Values, chain: &[Item], stages: &[StageDescriptor]) -> Option<Vec<Link>> {
    let mut links = Vec::with_capacity(chain.len());
    for item in chain {
        match stages.iter().find(|stage| stage.name == item.text) {
            Some(stage) => links.push(Link {
                stage: *stage,
                item: item.clone(),
            }),
            None => unknown_stage(values, item, stages),
        }
    }
    if let Some(first) = chain.first().filter(|first| first.text != "admit") {
        let what = format!("the chain begins with {:?}", first.text);
        values.error_at(
            codes::FIRST_STAGE_NOT_ADMIT,
            first,
            what,
            "put \"admit\" first",
        );
        return None;
    }
    (links.len() == chain.len()).then_some(links)
}

/// For every kind of request, what a stage reads must be what the one before it puts out.
fn edges(values: &mut Values, chain: &[Link]) {
    let mut misfits: Vec<(usize, usize, Vec<&str>)> = Vec::new();
    for kind in RequestKind::ALL {
        let visited: Vec<usize> = (0..chain.len())
            .filter(|i| chain[*i].stage.kinds.contains(kind))
            .collect();
        for pair in visited.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            if chain[from].stage.outputs.contains(&chain[to].stage.input) {
                continue;
            }
            match misfits.iter_mut().find(|(f, t, _)| (*f, *t) == (from, to)) {
                Some((.., kinds)) => kinds.push(kind.as_str()),
                None => misfits.push((from, to, vec![kind.as_str()])),
            }
        }
    }
    for (from, to, kinds) in misfits {
        let (before, reader) = (chain[from].stage, chain[to].stage);
        let outputs = match before.outputs {
            [] => "nothing".to_owned(),
            outputs => outputs.join(", "),
        };
        let what = format!(
            "{} reads {}, but {} before it puts out {outputs} (kinds: {})",
            reader.name,
            reader.input,
            before.name,
            kinds.join(", "),
        );
        let hint = format!(
            "put a stage between them that makes {}, or mend the order",
            reader.input
        );
        values.error_at(codes::EDGE_MISMATCH, &chain[to].item, what, hint);
    }
}

fn unread_outputs(values: &mut Values, chain: &[Link]) {
    for (index, link) in chain.iter().enumerate() {
        for output in link.stage.outputs {
            if chain[index + 1..]
                .iter()
                .any(|later| later.stage.input == *output)
            {
                continue;
            }
            let what = format!("no stage after {} reads its {output}", link.stage.name);
            let hint = format!("add the stage that reads {output}");
            values.error_at(codes::OUTPUT_UNREAD, &link.item, what, hint);
        }
    }
}

/// Every check that a scene requires must be answered by a stage.
fn checks(values: &mut Values, chain: &[Link]) {
    for scene in values.names("scene") {
        let required = values.list(&format!("{}.requires", scene.path));
        for check in required.unwrap_or_default() {
            let name = check.text.as_str();
            if chain.iter().any(|link| link.stage.checks.contains(&name)) {
                continue;
            }
            let what =
                format!("no stage of the chain answers {name:?}, so this scene could never accept");
            let hint = "add the stage to the chain, or do not require the check";
            values.error_at(codes::CHECK_UNPROVIDED, &check, what, hint);
        }
    }
}

fn segments(values: &mut Values, chain: Option<&[Item]>, stages: &[StageDescriptor]) {
    let segments = values.names("segment");
    if segments.is_empty() && !values.is_given("segment") {
        let origin = Origin::Line(values.line_of_table("segment"));
        let hint = Some("write [segment.front] with stages = [...]".to_owned());
        values.error(
            codes::MISSING_REQUIRED,
            &origin,
            "segment",
            "there is no segment",
            hint,
        );
        return;
    }
    let mut owners: Vec<(String, String)> = Vec::new();
    let mut all_read = !segments.is_empty();
    for segment in &segments {
        match values.whole_list(&format!("{}.stages", segment.path)) {
            Some(list) => one_segment(values, (segment, &list), chain, stages, &mut owners),
            None => all_read = false,
        }
    }
    if all_read {
        unassigned(values, chain.unwrap_or_default(), stages, &owners);
    }
}

/// `owners`: stage and segment, of the segments before this one.
fn one_segment(
    values: &mut Values,
    (segment, list): (&Item, &[Item]),
    chain: Option<&[Item]>,
    stages: &[StageDescriptor],
    owners: &mut Vec<(String, String)>,
) {
    let mut positions = Vec::with_capacity(list.len());
    for item in list {
        if let Some((_, other)) = owners.iter().find(|(stage, _)| *stage == item.text) {
            let what = format!("{:?} is in segment {other:?} too", item.text);
            let hint = "leave it in one of them";
            values.error_at(codes::STAGE_ASSIGNED_TWICE, item, what, hint);
        } else {
            owners.push((item.text.clone(), segment.text.clone()));
        }
        let named = |chain: &[Item]| chain.iter().position(|link| link.text == item.text);
        if let Some(position) = chain.and_then(named) {
            positions.push(position);
        } else if !stages.iter().any(|stage| stage.name == item.text) {
            unknown_stage(values, item, stages);
        } else if chain.is_some() {
            let what = format!("the chain has no {:?}", item.text);
            let hint = "add it to chain, or take it out here";
            values.error_at(codes::STAGE_NOT_IN_CHAIN, item, what, hint);
        }
    }
    for item in list.iter().skip(1) {
        let mut stages = stages.iter();
        if stages.any(|stage| stage.name == item.text && stage.is_rekeyed) {
            let what = format!(
                "{:?} has keys of its own, and only the first stage of a segment has a topic",
                item.text
            );
            let hint = format!("begin a segment with {:?}", item.text);
            values.error_at(codes::REKEYED_NOT_FIRST, item, what, hint);
        }
    }
    if positions.len() == list.len() && !neighbours(&positions) {
        let path = format!("{}.stages", segment.path);
        not_contiguous(values, &path, chain.unwrap_or_default(), positions);
    }
}

fn neighbours(positions: &[usize]) -> bool {
    positions.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

fn not_contiguous(values: &mut Values, path: &str, chain: &[Item], mut positions: Vec<usize>) {
    let (_, origin) = values.culprit(&[path]);
    positions.sort_unstable();
    let (what, hint) = if neighbours(&positions) {
        let names: Vec<&str> = positions.iter().map(|i| chain[*i].text.as_str()).collect();
        (
            "the stages are in another order than in chain",
            format!("write {names:?}"),
        )
    } else {
        let hint = "split the segment where the chain leaves it".to_owned();
        ("the stages are not neighbours in chain", hint)
    };
    values.error(
        codes::SEGMENT_NOT_CONTIGUOUS,
        &origin,
        path,
        what,
        Some(hint),
    );
}

/// From stage to stage, a case of any kind may leave a segment for the first stage of another one only.
fn entrances(values: &mut Values, chain: &[Link]) {
    for segment in values.names("segment") {
        let path = format!("{}.stages", segment.path);
        let Some(list) = values.whole_list(&path) else {
            continue;
        };
        let position = |item: &Item| chain.iter().position(|link| link.stage.name == item.text);
        let positions: Vec<usize> = list.iter().filter_map(position).collect();
        if positions.len() != list.len() || !neighbours(&positions) {
            continue;
        }
        let is_here = |link: &Link| list.iter().any(|item| item.text == link.stage.name);
        for item in list.iter().skip(1) {
            let enters = |kind: &&RequestKind| {
                let mut visited = chain.iter().filter(|link| link.stage.kinds.contains(kind));
                let mut before = None;
                visited.any(|link| {
                    let comes_from_elsewhere = before.is_some_and(|before| !is_here(before));
                    before = Some(link);
                    link.stage.name == item.text && comes_from_elsewhere
                })
            };
            let kinds: Vec<&str> = RequestKind::ALL
                .iter()
                .filter(enters)
                .map(|kind| kind.as_str())
                .collect();
            if kinds.is_empty() {
                continue;
            }
            let what = format!(
                "cases of kind {} would arrive at {:?}, but the segment reads the topic of {:?}",
                kinds.join(", "),
                item.text,
                list[0].text
            );
            let hint = format!("begin a segment with {:?}", item.text);
            values.error_at(codes::SEGMENT_ENTERED_INSIDE, item, what, hint);
        }
    }
}

fn unassigned(
    values: &mut Values,
    chain: &[Item],
    stages: &[StageDescriptor],
    owners: &[(String, String)],
) {
    for item in chain {
        let name = &item.text;
        let is_known = stages.iter().any(|stage| stage.name == name);
        if is_known && !owners.iter().any(|(stage, _)| stage == name) {
            let what = format!("no segment runs {name:?}");
            let hint =
                format!("add it to a segment, or write [segment.{name}] with stages = [{name:?}]");
            values.error_at(codes::STAGE_UNASSIGNED, item, what, hint);
        }
    }
}
