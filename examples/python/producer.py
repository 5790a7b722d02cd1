#!/usr/bin/env python3
"""Publishes one request to Shiren as a camera or upload system would, and prints its request_id.

    producer.py [options] PICTURE               every face of the picture (detect)
    producer.py [options] PICTURE REFERENCE     are these one person? (compare)

Running it again with the same --request-id and pictures asks the same question again, not a new one.
"""

import argparse
import sys
import uuid
from pathlib import Path

from confluent_kafka import KafkaException, Producer

from framing import SCHEMAS, Schema

# topics.max_record_bytes of the topology.
RECORD_MAX_BYTES = 16 * 1024 * 1024
DELIVERY_MAX_WAIT_MS = 30_000


def picture(path, reference_kind=None):
    """The picture's file as it is: never decoded, scaled or turned here."""
    return {
        "content": ("shiren.Inline", {"bytes": Path(path).read_bytes()}),
        "reference_kind": reference_kind,
    }


def request(arguments):
    """The request as Avro wants it; fields left out take the schema's defaults."""
    record = {
        "request_id": arguments.request_id or str(uuid.uuid4()),
        "kind": "compare" if arguments.reference else "detect",
        "scene": arguments.scene,
        "probe": picture(arguments.picture),
    }
    if arguments.reference:
        record["reference"] = picture(arguments.reference, arguments.reference_kind)
    return record


def send(bootstrap, topic, key, record):
    """Returns when the brokers have the request; raises when they do not."""
    producer = Producer({
        "bootstrap.servers": bootstrap,
        # The default of this client puts keys elsewhere: partition_mismatch.
        "partitioner": "murmur2_random",
        "enable.idempotence": True,
        # With more a record may be lost that was reported as delivered: docs/wire.md, "Publishing".
        "max.in.flight.requests.per.connection": 1,
        "message.max.bytes": RECORD_MAX_BYTES,
        "message.timeout.ms": DELIVERY_MAX_WAIT_MS,
    })
    failures = []

    def delivered(error, _message):
        if error is not None:
            failures.append(error)

    producer.produce(
        topic,
        key=key.encode(),
        value=Schema(SCHEMAS / "avsc" / "request.avsc").encode(record),
        on_delivery=delivered,
    )
    producer.flush()
    if failures:
        raise KafkaException(failures[0])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", help="the picture asked about")
    parser.add_argument("reference", nargs="?", help="the picture it is compared with")
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", help="host:port of a broker")
    parser.add_argument("--tenant", default="default")
    parser.add_argument("--lane", default="interactive")
    parser.add_argument("--scene", default="default")
    parser.add_argument("--request-id", help="idempotency key; default: a new UUID")
    parser.add_argument("--reference-kind", choices=["live", "on_file", "card_print", "chip"])
    arguments = parser.parse_args()
    try:
        record = request(arguments)
        topic = f"shiren.{arguments.tenant}.requests.{arguments.lane}"
        send(arguments.bootstrap, topic, f"{arguments.tenant}/{record['request_id']}", record)
    except (OSError, KafkaException) as error:
        sys.exit(f"producer: {error}")
    print(record["request_id"])


if __name__ == "__main__":
    main()
