//! The requests, one by one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use ::qdrant_client::qdrant::collections_server::Collections;
use ::qdrant_client::qdrant::points_server::Points;
use ::qdrant_client::qdrant::qdrant_server::Qdrant;
use ::qdrant_client::qdrant::vector_input::Variant as Probe;
use ::qdrant_client::qdrant::vector_output::Vector;
use ::qdrant_client::qdrant::vectors_config::Config;
use ::qdrant_client::qdrant::vectors_output::VectorsOptions;
use ::qdrant_client::qdrant::with_vectors_selector::SelectorOptions;
use ::qdrant_client::qdrant::{query::Variant, *};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::filters::uuid_of;
use super::store::{Collection, Point, refuse};

type Answer<T> = Result<Response<T>, Status>;
type Hold = (mpsc::Sender<()>, oneshot::Receiver<()>);

/// What the stand-in holds.
#[derive(Default)]
pub(super) struct Shared {
    collections: Mutex<HashMap<String, Collection>>,
    pub(super) requests: AtomicUsize,
    pub(super) ignores_conditions: AtomicBool,
    pub(super) hold: Mutex<Option<Hold>>,
}

#[derive(Clone)]
pub(super) struct Service(pub(super) Arc<Shared>);

impl Service {
    /// Runs a request on its collection.
    fn with<T>(
        &self,
        name: &str,
        run: impl FnOnce(&mut Collection) -> Result<T, Status>,
    ) -> Answer<T> {
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        let mut collections = self.0.collections.lock();
        let missing = || Status::not_found(format!("Collection `{name}` doesn't exist!"));
        run(collections.get_mut(name).ok_or_else(missing)?).map(Response::new)
    }
}

#[tonic::async_trait]
impl Qdrant for Service {
    async fn health_check(&self, _: Request<HealthCheckRequest>) -> Answer<HealthCheckReply> {
        refuse("health checks")
    }
}

/// Implements a service of which the requests named last are refused.
macro_rules! service {
    (
        $service:ident { $($known:item)* }
        refused { $($name:ident: $request:ident -> $answer:ident)* }
    ) => {
        #[tonic::async_trait]
        impl $service for Service {
            $($known)*
            $(async fn $name(&self, _: Request<$request>) -> Answer<$answer> {
                refuse(stringify!($name))
            })*
        }
    };
}

service! {
    Collections {
        async fn get(
            &self,
            request: Request<GetCollectionInfoRequest>,
        ) -> Answer<GetCollectionInfoResponse> {
            let name = request.into_inner().collection_name;
            self.with(&name, |collection| Ok(describe(collection)))
        }

        async fn create(
            &self,
            request: Request<CreateCollection>,
        ) -> Answer<CollectionOperationResponse> {
            self.0.requests.fetch_add(1, Ordering::SeqCst);
            let made = request.into_inner();
            let vectors = made.vectors_config.as_ref().and_then(|config| config.config.as_ref());
            let known = [Distance::Cosine, Distance::Euclid];
            let (dimension, distance) = match vectors {
                Some(Config::Params(vector)) if known.contains(&vector.distance()) => {
                    (vector.size as usize, vector.distance())
                }
                _ => return refuse("collections of other vectors"),
            };
            let name = made.collection_name.clone();
            let mut collections = self.0.collections.lock();
            if collections.contains_key(&name) {
                let what = format!("Wrong input: Collection `{name}` already exists!");
                return Err(Status::already_exists(what));
            }
            let collection = Collection {
                made,
                dimension,
                distance,
                points: Default::default(),
                indexes: HashMap::new(),
            };
            collections.insert(name, collection);
            Ok(Response::new(CollectionOperationResponse { result: true, time: 0.0 }))
        }

        async fn collection_exists(
            &self,
            request: Request<CollectionExistsRequest>,
        ) -> Answer<CollectionExistsResponse> {
            self.0.requests.fetch_add(1, Ordering::SeqCst);
            let name = request.into_inner().collection_name;
            let exists = self.0.collections.lock().contains_key(&name);
            let result = Some(CollectionExists { exists });
            Ok(Response::new(CollectionExistsResponse { result, time: 0.0 }))
        }
    }
    refused {
        list: ListCollectionsRequest -> ListCollectionsResponse
        update: UpdateCollection -> CollectionOperationResponse
        delete: DeleteCollection -> CollectionOperationResponse
        update_aliases: ChangeAliases -> CollectionOperationResponse
        list_collection_aliases: ListCollectionAliasesRequest -> ListAliasesResponse
        list_aliases: ListAliasesRequest -> ListAliasesResponse
        collection_cluster_info: CollectionClusterInfoRequest -> CollectionClusterInfoResponse
        update_collection_cluster_setup: UpdateCollectionClusterSetupRequest
            -> UpdateCollectionClusterSetupResponse
        create_shard_key: CreateShardKeyRequest -> CreateShardKeyResponse
        delete_shard_key: DeleteShardKeyRequest -> DeleteShardKeyResponse
        list_shard_keys: ListShardKeysRequest -> ListShardKeysResponse
    }
}

fn describe(collection: &Collection) -> GetCollectionInfoResponse {
    let params = CollectionParams {
        vectors_config: collection.made.vectors_config.clone(),
        ..CollectionParams::default()
    };
    let info = CollectionInfo {
        status: CollectionStatus::Green.into(),
        points_count: Some(collection.points.len() as u64),
        indexed_vectors_count: Some(0),
        payload_schema: collection.indexes.clone(),
        config: Some(CollectionConfig {
            params: Some(params),
            ..CollectionConfig::default()
        }),
        ..CollectionInfo::default()
    };
    GetCollectionInfoResponse {
        result: Some(info),
        time: 0.0,
    }
}

service! {
    Points {
        async fn create_field_index(
            &self,
            request: Request<CreateFieldIndexCollection>,
        ) -> Answer<PointsOperationResponse> {
            let request = request.into_inner();
            self.with(&request.collection_name, |collection| {
                let is_tenant = request.field_index_params.as_ref().is_some_and(|params| {
                    matches!(
                        &params.index_params,
                        Some(payload_index_params::IndexParams::KeywordIndexParams(keyword))
                            if keyword.is_tenant == Some(true)
                    )
                });
                if is_tenant != (request.field_name == "scope") || request.wait != Some(true) {
                    return refuse("such an index");
                }
                collection.indexes.insert(request.field_name, PayloadSchemaInfo::default());
                Ok(PointsOperationResponse {
                    result: Some(completed()),
                    ..PointsOperationResponse::default()
                })
            })
        }

        async fn update_batch(
            &self,
            request: Request<UpdateBatchPoints>,
        ) -> Answer<UpdateBatchResponse> {
            let request = request.into_inner();
            let hold = self.0.hold.lock().take();
            if let Some((tell, released)) = hold {
                let _ = tell.send(());
                let _ = released.await;
            }
            let is_strong = request.ordering.is_some_and(|o| o.r#type() == WriteOrderingType::Strong);
            if request.wait != Some(true) || !is_strong {
                return refuse("an update without waiting and strong order");
            }
            let ignores_conditions = self.0.ignores_conditions.load(Ordering::SeqCst);
            self.with(&request.collection_name, |collection| {
                let mut result = vec![];
                for operation in request.operations {
                    collection.apply(operation.operation, ignores_conditions)?;
                    result.push(completed());
                }
                Ok(UpdateBatchResponse {
                    result,
                    ..UpdateBatchResponse::default()
                })
            })
        }

        async fn get(&self, request: Request<GetPoints>) -> Answer<GetResponse> {
            let request = request.into_inner();
            self.with(&request.collection_name, |collection| {
                let mut result = vec![];
                for id in &request.ids {
                    let id = uuid_of(Some(id))?;
                    if let Some(point) = collection.points.get(&id) {
                        result.push(retrieved(id, point, request.with_vectors.as_ref())?);
                    }
                }
                Ok(GetResponse {
                    result,
                    ..GetResponse::default()
                })
            })
        }

        async fn scroll(&self, request: Request<ScrollPoints>) -> Answer<ScrollResponse> {
            let request = request.into_inner();
            if request.order_by.is_some() {
                return refuse("scrolling by a field");
            }
            self.with(&request.collection_name, |collection| {
                let from = match &request.offset {
                    Some(offset) => uuid_of(Some(offset))?,
                    None => Uuid::nil(),
                };
                let mut ids = collection.matching(&request.filter.unwrap_or_default())?;
                ids.retain(|id| *id >= from);
                let limit = request.limit.unwrap_or(10) as usize;
                let next_page_offset = ids.get(limit).map(|id| PointId::from(id.to_string()));
                ids.truncate(limit);
                let points = ids.into_iter().map(|id| {
                    retrieved(id, &collection.points[&id], request.with_vectors.as_ref())
                });
                Ok(ScrollResponse {
                    result: points.collect::<Result<_, _>>()?,
                    next_page_offset,
                    ..ScrollResponse::default()
                })
            })
        }

        async fn count(&self, request: Request<CountPoints>) -> Answer<CountResponse> {
            let request = request.into_inner();
            self.with(&request.collection_name, |collection| {
                let count = collection.matching(&request.filter.unwrap_or_default())?.len() as u64;
                Ok(CountResponse {
                    result: Some(CountResult { count }),
                    ..CountResponse::default()
                })
            })
        }

        async fn query(&self, request: Request<QueryPoints>) -> Answer<QueryResponse> {
            let request = request.into_inner();
            let name = request.collection_name.clone();
            self.with(&name, |collection| {
                Ok(QueryResponse {
                    result: query(collection, request)?,
                    ..QueryResponse::default()
                })
            })
        }

        async fn query_batch(&self, request: Request<QueryBatchPoints>) -> Answer<QueryBatchResponse> {
            let request = request.into_inner();
            self.with(&request.collection_name, |collection| {
                let queries = request.query_points.into_iter();
                let results = queries.map(|one| {
                    let result = query(collection, one)?;
                    Ok(BatchResult { result })
                });
                Ok(QueryBatchResponse {
                    result: results.collect::<Result<_, Status>>()?,
                    ..QueryBatchResponse::default()
                })
            })
        }
    }
    refused {
        upsert: UpsertPoints -> PointsOperationResponse
        delete: DeletePoints -> PointsOperationResponse
        update_vectors: UpdatePointVectors -> PointsOperationResponse
        delete_vectors: DeletePointVectors -> PointsOperationResponse
        set_payload: SetPayloadPoints -> PointsOperationResponse
        overwrite_payload: SetPayloadPoints -> PointsOperationResponse
        delete_payload: DeletePayloadPoints -> PointsOperationResponse
        clear_payload: ClearPayloadPoints -> PointsOperationResponse
        delete_field_index: DeleteFieldIndexCollection -> PointsOperationResponse
        create_vector_name: CreateVectorNameRequest -> PointsOperationResponse
        delete_vector_name: DeleteVectorNameRequest -> PointsOperationResponse
        search: SearchPoints -> SearchResponse
        search_batch: SearchBatchPoints -> SearchBatchResponse
        search_groups: SearchPointGroups -> SearchGroupsResponse
        recommend: RecommendPoints -> RecommendResponse
        recommend_batch: RecommendBatchPoints -> RecommendBatchResponse
        recommend_groups: RecommendPointGroups -> RecommendGroupsResponse
        discover: DiscoverPoints -> DiscoverResponse
        discover_batch: DiscoverBatchPoints -> DiscoverBatchResponse
        query_groups: QueryPointGroups -> QueryGroupsResponse
        facet: FacetCounts -> FacetResponse
        search_matrix_pairs: SearchMatrixPoints -> SearchMatrixPairsResponse
        search_matrix_offsets: SearchMatrixPoints -> SearchMatrixOffsetsResponse
    }
}

fn completed() -> UpdateResult {
    UpdateResult {
        operation_id: Some(0),
        status: UpdateStatus::Completed.into(),
    }
}

fn query(collection: &Collection, request: QueryPoints) -> Result<Vec<ScoredPoint>, Status> {
    if !request.prefetch.is_empty() || request.score_threshold.is_some() || request.offset.is_some()
    {
        return refuse("such a query");
    }
    // Where templates are kept as bytes, they decide unless the query asks for the templates themselves.
    let by_bytes = collection.made.quantization_config.is_some() && !asks_for_templates(&request);
    let (filter, limit) = (
        request.filter.unwrap_or_default(),
        request.limit.unwrap_or(10) as usize,
    );
    let found: Vec<(Uuid, f32)> = match request.query.and_then(|query| query.variant) {
        Some(Variant::Nearest(input)) => match input.variant {
            Some(Probe::Dense(dense)) => {
                let found = collection.nearest(&dense.data, &filter, limit)?;
                let given = |score: f32| if by_bytes { coarse(score) } else { score };
                found
                    .into_iter()
                    .map(|(id, score)| (id, given(score)))
                    .collect()
            }
            _ => return refuse("another probe"),
        },
        Some(_) => return refuse("another query"),
        None => {
            let ids = collection.matching(&filter)?.into_iter();
            ids.take(limit).map(|id| (id, 1.0)).collect()
        }
    };
    let scored = |(id, score): (Uuid, f32)| ScoredPoint {
        id: Some(PointId::from(id.to_string())),
        payload: collection.points[&id].payload.clone(),
        score,
        ..ScoredPoint::default()
    };
    Ok(found.into_iter().map(scored).collect())
}

fn asks_for_templates(request: &QueryPoints) -> bool {
    let quantised = (request.params.as_ref()).and_then(|params| params.quantization.as_ref());
    quantised.is_some_and(|asked| asked.ignore == Some(true) || asked.rescore == Some(true))
}

/// As bytes would have it.
fn coarse(score: f32) -> f32 {
    (score * 64.0).round() / 64.0
}

fn retrieved(
    id: Uuid,
    point: &Point,
    with_vectors: Option<&WithVectorsSelector>,
) -> Result<RetrievedPoint, Status> {
    let has_vectors = match with_vectors.and_then(|with| with.selector_options.as_ref()) {
        Some(SelectorOptions::Enable(enable)) => *enable,
        None => false,
        Some(_) => return refuse("vectors with names"),
    };
    let vector = point.vector.clone().filter(|_| has_vectors);
    let output = |data| VectorsOutput {
        vectors_options: Some(VectorsOptions::Vector(VectorOutput {
            vector: Some(Vector::Dense(DenseVector { data })),
            ..VectorOutput::default()
        })),
    };
    Ok(RetrievedPoint {
        id: Some(PointId::from(id.to_string())),
        payload: point.payload.clone(),
        vectors: vector.map(output),
        ..RetrievedPoint::default()
    })
}
