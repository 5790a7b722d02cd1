//! Codes of problems with a topology.

use crate::problem::ProblemCode;

macro_rules! codes {
    ($($name:ident $id:literal $meaning:literal;)*) => {
        $(pub(crate) const $name: &str = $id;)*
        /// Every code that a [`crate::Problem`] can carry.
        pub const CODES: &[ProblemCode] = &[$(ProblemCode { id: $id, meaning: $meaning }),*];
    };
}

codes! {
    TOML_SYNTAX "toml_syntax" "The file is not TOML at this place, or names a key twice. What hangs together is checked once the syntax is right.";
    UNKNOWN_KEY "unknown_key" "No setting has this name.";
    WRONG_TYPE "wrong_type" "The value is of another type than the setting.";
    OUT_OF_RANGE "out_of_range" "The value is outside the setting's range.";
    MISSING_REQUIRED "missing_required" "A setting without a default is not given.";
    NAME_INVALID "name_invalid" "A name or text has a form that topics and ids cannot carry.";
    DUPLICATE_NAME "duplicate_name" "A list names something twice.";
    TENANT_RESERVED "tenant_reserved" "A tenant has the name of an internal topic family, so a prefix ACL for it would open internal topics.";
    UNKNOWN_LANE "unknown_lane" "A lane that does not exist.";
    UNKNOWN_ENGINE "unknown_engine" "A log engine that does not exist.";
    UNKNOWN_STAGE "unknown_stage" "No stage of this program has this name.";
    UNKNOWN_CHECK "unknown_check" "A check that does not exist.";
    UNKNOWN_VARIABLE "unknown_variable" "An environment variable that looks like one of ours and is none.";
    FIRST_STAGE_NOT_ADMIT "first_stage_not_admit" "The chain does not begin with `admit`, which alone reads ingress.";
    EDGE_MISMATCH "edge_mismatch" "A stage does not read what the stage before it puts out, for some kind of request.";
    OUTPUT_UNREAD "output_unread" "No later stage of the chain reads what this stage puts out: cases would end without a verdict.";
    STAGE_UNASSIGNED "stage_unassigned" "A stage of the chain is in no segment, so nothing runs it.";
    STAGE_ASSIGNED_TWICE "stage_assigned_twice" "A stage is in two segments.";
    STAGE_NOT_IN_CHAIN "stage_not_in_chain" "A segment holds a stage that the chain does not have.";
    SEGMENT_NOT_CONTIGUOUS "segment_not_contiguous" "The stages of a segment are not neighbours in the chain, or in another order.";
    SEGMENT_ENTERED_INSIDE "segment_entered_inside" "For some kind of request a case would arrive at a stage that is not the first of its segment; a segment reads the topic of its first stage alone.";
    REKEYED_NOT_FIRST "rekeyed_not_first" "A stage whose topic has keys of its own is not the first of its segment: it would see one key's records in many partitions.";
    CHECK_UNPROVIDED "check_unprovided" "A scene requires a check that no stage of the chain answers, so it could never accept.";
    KAFKA_WITHOUT_SERVERS "kafka_without_servers" "The engine is kafka and no broker is named.";
    KAFKA_PROPERTY_RESERVED "kafka_property_reserved" "A librdkafka property that Shiren sets itself: delivery or a bound hangs on it.";
    LIBRARY_WITHOUT_URL "library_without_url" "The face library is on a server and its address is not named.";
    LIBRARY_APART "library_apart" "The face library is embedded, and the stages that search and write it run in different processes.";
    WORKERS_OVER_PARTITIONS "workers_over_partitions" "More workers than partitions: some would never have work.";
    BUNDLE_BELOW_RECORD "bundle_below_record" "A bundle cannot hold one record of the largest size.";
    QUEUE_BELOW_BUNDLE "queue_below_bundle" "The queue is smaller than a bundle, so no bundle fills.";
    RECORD_BELOW_PICTURES "record_below_pictures" "A record cannot hold the two largest pictures, or their crops, with what goes around them.";
    CROP_BELOW_SIDE "crop_below_side" "crop_max_bytes cannot hold a crop of crop_max_side_px.";
    MIN_OVER_MAX "min_over_max" "A lower limit is above its upper one.";
    TRANSACTION_BELOW_COMMIT "transaction_below_commit" "The transaction may time out before the longest commit is done.";
    DRAIN_OVER_SESSION "drain_over_session" "A worker that drains may lose its partitions before it is done.";
    RETENTION_BELOW_DEADLINE "retention_below_deadline" "Records may be deleted, or the keys of their pictures destroyed, before the deadline of their cases.";
    DEADLINE_OVER_MAX "deadline_over_max" "A scene's deadline is above runtime.deadline_max_ms.";
    DEADLINE_OVER_EXPIRY "deadline_over_expiry" "Warning: an answer just before the deadline has already expired.";
    RETENTION_SHORT "retention_short" "Warning: an outage of an hour loses cases.";
    UNREADABLE_TABLES "unreadable_tables" "A fault of this program: a setting is read that the table does not declare.";
}
