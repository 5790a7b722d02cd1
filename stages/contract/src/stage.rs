//! A stage: a pure function from one record to one outcome.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use nonempty::NonEmpty;
use shiren_schemas::records::{
    AdmittedCase, Envelope, FaceCase, RequestKind, StillCase, TemplateCase,
};
use shiren_schemas::{CodecError, Id, Wire};

use crate::codes::{self, Code};
use crate::sealing::{Sealable, Secret};
use crate::terminal::Terminal;

/// What a stage is, for the topology: known before one is built.
#[derive(Clone, Copy, Debug)]
pub struct StageDescriptor {
    /// Name, as in topology.toml and in topic names.
    pub name: &'static str,
    /// Kinds of request that visit the stage; others pass it by.
    pub kinds: &'static [RequestKind],
    /// Schema of its input; `Arrival` for a stage that reads ingress.
    pub input: &'static str,
    /// Schemas that it may put out; empty when every case ends here.
    pub outputs: &'static [&'static str],
    /// Checks that it answers (`comparison`, `liveness`, `quality` ...).
    pub checks: &'static [&'static str],
    /// Schema of what it keeps by key ([`crate::keyed::KeyedStage`]); `None`: it remembers nothing.
    pub state: Option<&'static str>,
    /// Its topic has keys of its own (the runtime's `Registry::with_rekeyed` gives them), so that all records of such a key
    /// are in one partition; it begins a segment. `false`: the topic has the keys of the cases.
    pub is_rekeyed: bool,
}

/// A record as it came from the log.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition it lies in.
    pub partition: i32,
    /// Partitions of the topic.
    pub partitions: i32,
    /// Offset.
    pub offset: i64,
    /// Append time, microseconds since the Unix epoch.
    pub append_time_us: i64,
    /// Key.
    pub key: Option<Bytes>,
    /// Value; `None` is a tombstone.
    pub value: Option<Bytes>,
}

/// Why a record is not processed. `detail` carries no personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// What is wrong, by code.
    pub code: Code,
    /// The particulars: what was found, what was expected.
    pub detail: String,
}

impl Rejection {
    /// A rejection.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

impl From<CodecError> for Rejection {
    fn from(error: CodecError) -> Self {
        let code = match error {
            CodecError::Empty => codes::RECORD_EMPTY,
            CodecError::UnknownFraming(_) => codes::FRAMING_UNKNOWN,
            CodecError::ConfluentUnconfigured(_) => codes::FRAMING_CONFLUENT_UNCONFIGURED,
            CodecError::UnknownSchema { .. } => codes::SCHEMA_UNKNOWN,
            CodecError::Unreadable { .. } => codes::AVRO_UNREADABLE,
            CodecError::Unwritable { .. } => codes::STAGE_FAILED,
        };
        Self::new(code, error.to_string())
    }
}

/// A record between stages.
pub trait Payload: Wire + Sealable {
    /// Its envelope.
    fn envelope(&self) -> &Envelope;
    /// Its envelope, for the runtime: record id and trail.
    fn envelope_mut(&mut self) -> &mut Envelope;
}

macro_rules! payloads {
    ($($record:ty),*) => {$(
        impl Payload for $record {
            fn envelope(&self) -> &Envelope {
                &self.envelope
            }
            fn envelope_mut(&mut self) -> &mut Envelope {
                &mut self.envelope
            }
        }
    )*};
}
payloads!(AdmittedCase, StillCase, FaceCase, TemplateCase);

/// What a stage reads: a [`Payload`], or the bare [`Arrival`] at the chain's head.
pub trait Input: Sealable + Sized + Send + 'static {
    /// Schema name, as in [`StageDescriptor::input`].
    const SCHEMA: &'static str;

    /// Reads it from a record of the stage's own topic.
    ///
    /// # Errors
    /// The bytes are not one whole record of the schema.
    fn read(arrival: Arrival) -> Result<Self, Rejection>;

    /// The case's envelope, once there is a case.
    fn case(&self) -> Option<&Envelope>;
}

impl<P: Payload> Input for P {
    const SCHEMA: &'static str = P::NAME;

    fn read(arrival: Arrival) -> Result<Self, Rejection> {
        let value = arrival.value.unwrap_or_default();
        P::decode(&value).map_err(Rejection::from)
    }

    fn case(&self) -> Option<&Envelope> {
        Some(self.envelope())
    }
}

/// What producers send is plain; it ages out with its topic.
impl Sealable for Arrival {
    fn secrets(&mut self) -> Vec<Secret<'_>> {
        Vec::new()
    }
}

impl Input for Arrival {
    const SCHEMA: &'static str = "Arrival";

    fn read(arrival: Arrival) -> Result<Self, Rejection> {
        Ok(arrival)
    }

    fn case(&self) -> Option<&Envelope> {
        None
    }
}

/// A payload whose type the runtime need not know.
pub trait Message: Sealable + Send {
    /// See [`Payload::envelope`].
    fn envelope(&self) -> &Envelope;
    /// See [`Payload::envelope_mut`].
    fn envelope_mut(&mut self) -> &mut Envelope;
    /// Schema name.
    fn schema(&self) -> &'static str;
    /// Framed bytes.
    ///
    /// # Errors
    /// A fault of this program: see [`CodecError::Unwritable`].
    fn encode(&self) -> Result<Vec<u8>, CodecError>;
    /// For the next stage of a fused segment.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
    /// For what gives it a key.
    fn as_any(&self) -> &dyn Any;
}

impl<P: Payload> Message for P {
    fn envelope(&self) -> &Envelope {
        Payload::envelope(self)
    }
    fn envelope_mut(&mut self) -> &mut Envelope {
        Payload::envelope_mut(self)
    }
    fn schema(&self) -> &'static str {
        P::NAME
    }
    fn encode(&self) -> Result<Vec<u8>, CodecError> {
        Wire::encode(self)
    }
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// One output of a stage. Its record id derives from the parent's, the stage, `name` and its index.
pub struct Out {
    /// Name of the output.
    pub name: &'static str,
    /// The record; the runtime sends it to the next stage of the chain that serves its kind.
    pub message: Box<dyn Message>,
}

/// What became of one input: exactly one of these, always.
pub enum Outcome {
    /// The case goes on.
    Next(NonEmpty<Out>),
    /// The case ends here, in its one verdict.
    Terminal(Box<Terminal>),
    /// There is no readable case; the record is kept for the operator.
    DeadLetter(Rejection),
    /// The record belongs to a case that another record ends, or has ended.
    Absorbed(Absorption),
}

/// Why a record has no end of its own, and which case must have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absorption {
    /// The same request came before.
    Duplicate {
        /// Its case.
        case: Id,
    },
}

impl Outcome {
    /// The usual single output.
    #[must_use]
    pub fn next(payload: impl Payload) -> Self {
        Self::Next(NonEmpty::new(Out {
            name: "next",
            message: Box::new(payload),
        }))
    }

    /// The end of a case.
    #[must_use]
    pub fn terminal(terminal: Terminal) -> Self {
        Self::Terminal(Box::new(terminal))
    }
}

/// A stage. The same input gives the same outcome; it reads no clock and does no IO.
/// `&mut self` is for model sessions and buffers, never for memory of earlier records.
pub trait Stage: Send + 'static {
    /// What it reads.
    type Input: Input;

    /// What it is.
    const DESCRIPTOR: StageDescriptor;

    /// Decides on one record. Never fails: a readable case that cannot be answered is
    /// [`Outcome::Terminal`] with decision `error`.
    fn process(&mut self, input: Self::Input) -> Outcome;
}
