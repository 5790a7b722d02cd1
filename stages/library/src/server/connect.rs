//! The client, the collection and its indexes.

use std::time::{Duration, Instant};

use qdrant_client::Qdrant;
use qdrant_client::qdrant::payload_index_params::IndexParams;
use qdrant_client::qdrant::quantization_config::Quantization;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CollectionInfo, CreateCollection, CreateFieldIndexCollection, Distance, FieldType,
    HnswConfigDiff, IntegerIndexParams, KeywordIndexParams, Memory, QuantizationType,
    ScalarQuantization, VectorParams, VectorsConfig,
};

use super::{ServerLibrary, ServerOptions, failed};
use crate::error::LibraryError;
use crate::metric::Metric;
use crate::point::{KIND, PERSON, SCOPE, SEQUENCE};

/// Made without a request: the first one connects.
pub(super) fn client(options: &ServerOptions) -> Result<Qdrant, LibraryError> {
    let mut config = Qdrant::from_url(&options.url)
        .timeout(Duration::from_millis(options.request_max_ms))
        .connect_timeout(Duration::from_millis(options.connect_max_ms))
        .keep_alive_while_idle()
        // It would ask on a thread of its own and print what it thinks.
        .skip_compatibility_check();
    config.pool_size = options.connections;
    config.api_key.clone_from(&options.api_key);
    let client = config.build();
    client.map_err(|error| failed(options, format!("the address cannot be used: {error}")))
}

/// Makes what is missing, and compares what is there.
pub(super) fn prepare(library: &ServerLibrary, deadline: Instant) -> Result<(), LibraryError> {
    let name = &library.options.collection;
    let exists = library.client.collection_exists(name.as_str());
    if !library.ask(deadline, exists)? {
        make(library, deadline)?;
    }
    let info = info(library, deadline)?;
    same_templates(&library.options, &info)?;
    for (field, kind, params) in indexes() {
        if info.payload_schema.contains_key(field) {
            continue;
        }
        let index = library
            .client
            .create_field_index(CreateFieldIndexCollection {
                collection_name: name.clone(),
                wait: Some(true),
                field_name: field.to_owned(),
                field_type: Some(kind.into()),
                field_index_params: Some(params.into()),
                ..CreateFieldIndexCollection::default()
            });
        library.ask(deadline, index)?;
    }
    Ok(())
}

/// What filters look at. `scope` alone keeps libraries apart: their points are stored together.
fn indexes() -> [(&'static str, FieldType, IndexParams); 4] {
    let keyword = |is_tenant| {
        IndexParams::KeywordIndexParams(KeywordIndexParams {
            is_tenant: Some(is_tenant),
            ..KeywordIndexParams::default()
        })
    };
    let range = IndexParams::IntegerIndexParams(IntegerIndexParams {
        lookup: Some(false),
        range: Some(true),
        ..IntegerIndexParams::default()
    });
    [
        (SCOPE, FieldType::Keyword, keyword(true)),
        (PERSON, FieldType::Keyword, keyword(false)),
        (KIND, FieldType::Keyword, keyword(false)),
        (SEQUENCE, FieldType::Integer, range),
    ]
}

fn distance(metric: Metric) -> Distance {
    match metric {
        Metric::Cosine => Distance::Cosine,
        Metric::Euclidean => Distance::Euclid,
    }
}

fn make(library: &ServerLibrary, deadline: Instant) -> Result<(), LibraryError> {
    let options = &library.options;
    let quantised = ScalarQuantization {
        r#type: QuantizationType::Int8.into(),
        quantile: None,
        memory: Some(Memory::Pinned.into()),
        ..ScalarQuantization::default()
    };
    let request = library.client.create_collection(CreateCollection {
        collection_name: options.collection.clone(),
        vectors_config: Some(VectorsConfig {
            config: Some(Config::Params(VectorParams {
                size: options.dimension as u64,
                distance: distance(options.metric).into(),
                ..VectorParams::default()
            })),
        }),
        hnsw_config: Some(HnswConfigDiff {
            full_scan_threshold: Some(options.compare_all_max_kib as u64),
            ..HnswConfigDiff::default()
        }),
        shard_number: options.shards,
        replication_factor: Some(options.replication_factor),
        write_consistency_factor: Some(options.write_consistency_factor),
        quantization_config: (options.is_quantised).then(|| Quantization::Scalar(quantised).into()),
        ..CreateCollection::default()
    });
    match library.ask(deadline, request) {
        // Another process was first.
        Err(LibraryError::Failed { what, .. }) if what.contains("already exists") => Ok(()),
        made => made.map(drop),
    }
}

pub(super) fn info(
    library: &ServerLibrary,
    deadline: Instant,
) -> Result<CollectionInfo, LibraryError> {
    let name = library.options.collection.as_str();
    let answer = library.ask(deadline, library.client.collection_info(name))?;
    let nothing = || failed(&library.options, "the server described nothing");
    answer.result.ok_or_else(nothing)
}

fn same_templates(options: &ServerOptions, info: &CollectionInfo) -> Result<(), LibraryError> {
    let params = info
        .config
        .as_ref()
        .and_then(|config| config.params.as_ref());
    let vectors = params.and_then(|params| params.vectors_config.as_ref()?.config.as_ref());
    let found = match vectors {
        Some(Config::Params(vector)) => (vector.size, vector.distance()),
        _ => (0, Distance::UnknownDistance),
    };
    let wanted = (options.dimension as u64, distance(options.metric));
    if found == wanted {
        return Ok(());
    }
    let said = |(size, distance): (u64, Distance)| format!("{size} numbers under {distance:?}");
    Err(LibraryError::DimensionMismatch {
        place: options.place(),
        found: said(found),
        wanted: said(wanted),
    })
}
