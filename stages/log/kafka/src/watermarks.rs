//! The range of a partition's offsets, asked again while its leader is being found.

use std::time::{Duration, Instant};

use rdkafka::consumer::{Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Pause before it is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// First offset and end of a partition. A topic that was made a moment ago, or whose broker just went, has no leader yet:
/// that is waited for, `max_wait` in all.
pub(crate) fn watermarks<X: ConsumerContext>(
    consumer: &impl Consumer<X>,
    topic: &str,
    partition: i32,
    max_wait: Duration,
) -> Result<(i64, i64), KafkaError> {
    let deadline = Instant::now() + max_wait;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match consumer.fetch_watermarks(topic, partition, left.max(PAUSE)) {
            Err(error) if has_no_leader(&error) && !left.is_zero() => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
}

fn has_no_leader(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{LeaderNotAvailable, NotLeaderForPartition};
    let code = error.rdkafka_error_code();
    matches!(code, Some(LeaderNotAvailable | NotLeaderForPartition))
}
