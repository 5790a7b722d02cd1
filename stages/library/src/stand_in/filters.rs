//! The conditions that the engine sends, and no others.

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{Condition, FieldCondition, Filter, PointId, Range, Value};
use tonic::Status;
use uuid::Uuid;

use super::store::{Point, refuse};

/// Whether a point meets all conditions, or one of them.
pub(super) fn meets(filter: &Filter, id: Uuid, point: &Point) -> Result<bool, Status> {
    if !filter.must_not.is_empty() || filter.min_should.is_some() {
        return refuse("a filter other than must or should");
    }
    // None of them may be unknown, even where another one decides.
    let all = |conditions: &[Condition]| {
        let each = conditions
            .iter()
            .map(|condition| meets_one(condition, id, point));
        each.collect::<Result<Vec<_>, _>>()
    };
    let (must, should) = (all(&filter.must)?, all(&filter.should)?);
    Ok(must.iter().all(|met| *met) && (should.is_empty() || should.contains(&true)))
}

fn meets_one(condition: &Condition, id: Uuid, point: &Point) -> Result<bool, Status> {
    match &condition.condition_one_of {
        Some(ConditionOneOf::HasId(ids)) => {
            for wanted in &ids.has_id {
                if uuid_of(Some(wanted))? == id {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Some(ConditionOneOf::Field(field)) => {
            let value = point
                .payload
                .get(&field.key)
                .and_then(|value| value.kind.as_ref());
            meets_field(field, value)
        }
        Some(ConditionOneOf::Filter(filter)) => meets(filter, id, point),
        _ => refuse("a condition of another kind"),
    }
}

fn meets_field(field: &FieldCondition, value: Option<&Kind>) -> Result<bool, Status> {
    let plain = FieldCondition {
        key: field.key.clone(),
        r#match: field.r#match.clone(),
        range: field.range,
        ..FieldCondition::default()
    };
    if plain != *field {
        return refuse("a condition on a field of another kind");
    }
    let matching = field
        .r#match
        .as_ref()
        .map(|wanted| wanted.match_value.as_ref());
    match (matching, &field.range) {
        (Some(Some(MatchValue::Keyword(wanted))), None) => Ok(is_text(value, wanted)),
        (Some(Some(MatchValue::Keywords(wanted))), None) => {
            Ok(wanted.strings.iter().any(|wanted| is_text(value, wanted)))
        }
        (None, Some(range)) => in_range(range, value),
        _ => refuse("a match of another kind"),
    }
}

fn is_text(value: Option<&Kind>, wanted: &str) -> bool {
    matches!(value, Some(Kind::StringValue(text)) if text == wanted)
}

fn in_range(range: &Range, value: Option<&Kind>) -> Result<bool, Status> {
    let Some(Kind::IntegerValue(number)) = value else {
        return Ok(false);
    };
    let number = *number as f64;
    match range {
        Range {
            lt: Some(lt),
            gt: None,
            gte: None,
            lte: None,
        } => Ok(number < *lt),
        Range {
            lte: Some(lte),
            gt: None,
            gte: None,
            lt: None,
        } => Ok(number <= *lte),
        _ => refuse("a range of another kind"),
    }
}

pub(super) fn uuid_of(id: Option<&PointId>) -> Result<Uuid, Status> {
    let id = id.and_then(|id| id.point_id_options.as_ref());
    match id {
        Some(PointIdOptions::Uuid(id)) => id
            .parse()
            .map_err(|_| Status::invalid_argument("a point's id is no UUID")),
        _ => refuse("a point's id of another kind"),
    }
}

/// Whether a field is the text or whole number that payload may hold here.
pub(super) fn is_plain(value: &Value) -> bool {
    matches!(
        value.kind,
        Some(Kind::StringValue(_) | Kind::IntegerValue(_))
    )
}
