//! What errors of librdkafka mean to a caller.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use shiren_log::LogError;

use crate::ENGINE;

/// An error outside a transaction.
pub(crate) fn meaning(what: &str, error: &KafkaError) -> LogError {
    use RDKafkaErrorCode as Code;
    match (error, error.rdkafka_error_code()) {
        (KafkaError::ClientConfig(_, reason, name, _), _) => LogError::Config {
            what: format!("log.kafka.properties: {name}: {reason}"),
        },
        (KafkaError::ClientCreation(reason), _) => LogError::Config {
            what: format!("log.kafka: {reason}"),
        },
        (
            _,
            Some(
                Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::TransactionalIdAuthorizationFailed
                | Code::Authentication
                | Code::SaslAuthenticationFailed,
            ),
        ) => LogError::Config {
            what: format!(
                "log.kafka: {what}: {error}: the broker refuses this client; check its credentials and ACLs"
            ),
        },
        (
            _,
            Some(Code::Fatal | Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch),
        )
        | (KafkaError::MessageConsumptionFatal(_), _) => fatal(format!("{what}: {error}")),
        _ => unavailable(format!("{what}: {error}")),
    }
}

pub(crate) fn unavailable(what: String) -> LogError {
    LogError::Unavailable {
        engine: ENGINE,
        what,
    }
}

pub(crate) fn fatal(what: String) -> LogError {
    LogError::Fatal {
        engine: ENGINE,
        what,
    }
}
