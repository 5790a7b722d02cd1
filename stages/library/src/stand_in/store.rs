//! Points in a map, and the operations on them.

use std::collections::{BTreeMap, HashMap};

use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::points_update_operation::{Operation, PointStructList, SetPayload};
use qdrant_client::qdrant::vector::Vector as Input;
use qdrant_client::qdrant::vectors::VectorsOptions;
use qdrant_client::qdrant::{
    CreateCollection, Distance, Filter, PayloadSchemaInfo, PointStruct, PointsSelector, Value,
};
use tonic::Status;
use uuid::Uuid;

use super::filters::{is_plain, meets, uuid_of};

/// What the stand-in does not understand.
pub(super) fn refuse<T>(what: &str) -> Result<T, Status> {
    Err(Status::unimplemented(format!(
        "the stand-in does not know {what}"
    )))
}

#[derive(Clone)]
pub(super) struct Point {
    pub(super) payload: HashMap<String, Value>,
    pub(super) vector: Option<Vec<f32>>,
}

/// A collection.
pub(super) struct Collection {
    pub(super) made: CreateCollection,
    pub(super) dimension: usize,
    pub(super) distance: Distance,
    pub(super) points: BTreeMap<Uuid, Point>,
    pub(super) indexes: HashMap<String, PayloadSchemaInfo>,
}

impl Collection {
    /// Points that meet the filter, by id.
    pub(super) fn matching(&self, filter: &Filter) -> Result<Vec<Uuid>, Status> {
        let mut found = vec![];
        for (id, point) in &self.points {
            if meets(filter, *id, point)? {
                found.push(*id);
            }
        }
        Ok(found)
    }

    fn selected(&self, selector: Option<&PointsSelector>) -> Result<Vec<Uuid>, Status> {
        match selector.and_then(|selector| selector.points_selector_one_of.as_ref()) {
            Some(PointsSelectorOneOf::Filter(filter)) => self.matching(filter),
            _ => refuse("points selected by anything but a filter"),
        }
    }

    pub(super) fn apply(
        &mut self,
        operation: Option<Operation>,
        ignores_conditions: bool,
    ) -> Result<(), Status> {
        match operation {
            Some(Operation::Upsert(list)) => self.upsert(list, ignores_conditions),
            Some(Operation::SetPayload(set)) => self.set_payload(set),
            Some(Operation::DeleteVectors(delete)) => {
                if delete.vectors.is_none_or(|vectors| vectors.names != [""]) {
                    return refuse("vectors with names");
                }
                for id in self.selected(delete.points_selector.as_ref())? {
                    if let Some(point) = self.points.get_mut(&id) {
                        point.vector = None;
                    }
                }
                Ok(())
            }
            Some(Operation::DeletePoints(delete)) => {
                for id in self.selected(delete.points.as_ref())? {
                    self.points.remove(&id);
                }
                Ok(())
            }
            _ => refuse("this operation"),
        }
    }

    fn upsert(&mut self, list: PointStructList, ignores_conditions: bool) -> Result<(), Status> {
        if list.update_mode.is_some() || list.shard_key_selector.is_some() {
            return refuse("upserts by mode or shard key");
        }
        let condition = list.update_filter.filter(|_| !ignores_conditions);
        for point in list.points {
            let id = uuid_of(point.id.as_ref())?;
            let mut point = self.read(point)?;
            if let Some(was) = self.points.get(&id) {
                if let Some(condition) = &condition
                    && !meets(condition, id, was)?
                {
                    continue;
                }
                // So it does where the old one lies in an indexed segment.
                point.vector = point.vector.or_else(|| was.vector.clone());
            }
            self.points.insert(id, point);
        }
        Ok(())
    }

    fn read(&self, point: PointStruct) -> Result<Point, Status> {
        if !point.payload.values().all(is_plain) {
            return refuse("payload other than text and whole numbers");
        }
        let vector = match point.vectors.and_then(|vectors| vectors.vectors_options) {
            Some(VectorsOptions::Vector(vector)) => match vector.vector {
                Some(Input::Dense(dense)) if dense.data.len() == self.dimension => Some(dense.data),
                Some(Input::Dense(_)) => {
                    return Err(Status::invalid_argument("Vector dimension error"));
                }
                _ => return refuse("vectors other than dense ones"),
            },
            Some(VectorsOptions::Vectors(named)) if named.vectors.is_empty() => None,
            _ => return refuse("points with other vectors"),
        };
        Ok(Point {
            payload: point.payload,
            vector,
        })
    }

    fn set_payload(&mut self, set: SetPayload) -> Result<(), Status> {
        if set.key.is_some() || !set.payload.values().all(is_plain) {
            return refuse("payload set under a key");
        }
        for id in self.selected(set.points_selector.as_ref())? {
            if let Some(point) = self.points.get_mut(&id) {
                point.payload.extend(set.payload.clone());
            }
        }
        Ok(())
    }

    /// The points nearest to a probe, best first: by cosine, or by distance, which a server gives as it is.
    pub(super) fn nearest(
        &self,
        probe: &[f32],
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<(Uuid, f32)>, Status> {
        if probe.len() != self.dimension {
            return Err(Status::invalid_argument("Vector dimension error"));
        }
        let mut found = vec![];
        for id in self.matching(filter)? {
            if let Some(vector) = self.points.get(&id).and_then(|point| point.vector.as_ref()) {
                let score = match self.distance {
                    Distance::Euclid => distance(probe, vector),
                    _ => cosine(probe, vector),
                };
                found.push((id, score));
            }
        }
        match self.distance {
            Distance::Euclid => found.sort_by(|(_, a), (_, b)| a.total_cmp(b)),
            _ => found.sort_by(|(_, a), (_, b)| b.total_cmp(a)),
        }
        found.truncate(limit);
        Ok(found)
    }
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
    squares.sum::<f32>().sqrt()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
