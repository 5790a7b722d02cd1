#!/usr/bin/env python3
"""Reads Shiren's verdicts as a door or a back end should, and prints one JSON object for each.

    consumer.py [options]                                   follow all of a tenant
    consumer.py --request-id ID --max-wait-seconds 30       wait for one; exit code 1 without it

Committed records only, the first of each verdict_id, none that has expired, none whose canonical
part is not the one that was hashed.
"""

import argparse
import hashlib
import json
import sys
import time
import uuid
from collections import OrderedDict
from datetime import datetime, timezone

from confluent_kafka import Consumer, KafkaError, KafkaException

from framing import SCHEMAS, Schema, decode

# Ids remembered. A duplicate comes within minutes of the first.
REMEMBERED_MAX = 100_000

VERDICTS = [
    Schema(path)
    for path in [SCHEMAS / "avsc" / "verdicts.avsc", *sorted((SCHEMAS / "history" / "Verdict").glob("*.avsc"))]
]
CANONICAL = Schema(SCHEMAS / "avsc" / "canonical-verdict.avsc")


class Verdicts:
    """Which records a reader may act on."""

    def __init__(self):
        self.seen = OrderedDict()

    def accept(self, value):
        """A verdict to act on, or None and why not."""
        verdict = decode(value, VERDICTS)
        canonical = verdict["canonical"]
        if hashlib.sha256(CANONICAL.body(canonical)).digest() != verdict["canonical_sha256"]:
            return None, "canonical_sha256 does not hold"
        verdict_id = canonical["verdict_id"]
        if verdict_id in self.seen:
            return None, "duplicate"
        self.seen[verdict_id] = None
        if len(self.seen) > REMEMBERED_MAX:
            self.seen.popitem(last=False)
        if verdict["observed"]["expires_at"] < datetime.now(timezone.utc):
            return None, "expired"
        return verdict, None


def as_json(verdict):
    """Ids as UUIDs, hashes as hex, times as ISO 8601."""
    def text(value):
        if not isinstance(value, bytes):
            return value.isoformat()
        return str(uuid.UUID(bytes=value)) if len(value) == 16 else value.hex()
    return json.dumps(verdict, default=text, ensure_ascii=False)


def messages(consumer, until):
    """Records of the topic, until the time is over."""
    while time.monotonic() < until:
        message = consumer.poll(0.5)
        if message is None:
            continue
        if message.error() is None:
            yield message
        elif message.error().fatal() or message.error().code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise KafkaException(message.error())
        else:
            print(f"consumer: {message.error()}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", help="host:port of a broker")
    parser.add_argument("--tenant", default="default")
    parser.add_argument("--group", help="consumer group, which keeps the place; with --request-id a new one")
    parser.add_argument("--request-id", help="print only this one's verdict, then stop")
    parser.add_argument("--max-wait-seconds", type=float, default=float("inf"))
    arguments = parser.parse_args()
    fresh = f"verdict-reader-{uuid.uuid4()}" if arguments.request_id else "verdict-reader"
    consumer = Consumer({
        "bootstrap.servers": arguments.bootstrap,
        "group.id": arguments.group or fresh,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    })
    consumer.subscribe([f"shiren.{arguments.tenant}.verdicts"])
    verdicts = Verdicts()
    found = False
    try:
        for message in messages(consumer, time.monotonic() + arguments.max_wait_seconds):
            verdict, why_not = verdicts.accept(message.value())
            if verdict is None:
                print(f"consumer: left out: {why_not}", file=sys.stderr)
            elif arguments.request_id in (None, verdict["observed"]["request_id"]):
                print(as_json(verdict), flush=True)
                found = True
            # After the record was acted on, never before.
            consumer.commit(message, asynchronous=False)
            if found and arguments.request_id:
                break
    except KafkaException as error:
        sys.exit(f"consumer: {error}")
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()
    if arguments.request_id and not found:
        sys.exit(f"consumer: no verdict for {arguments.request_id}")


if __name__ == "__main__":
    main()
