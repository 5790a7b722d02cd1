#!/usr/bin/env python3
"""Keeps a library of faces and searches it, as a back end of your own would. Each command prints its request_id, `create`
the library's id behind it; consumer.py reads the verdict.

    library.py [options] create NAME
    library.py [options] enrol LIBRARY PERSON PICTURE --consent-ref REF --purpose PURPOSE
    library.py [options] search LIBRARY PICTURE
    library.py [options] unenrol LIBRARY PERSON

LIBRARY is the id that `create` printed.
"""

import argparse
import hashlib
import sys
import uuid

from confluent_kafka import KafkaException

from producer import picture, send


def derive(kind, *fields):
    """An id as docs/wire.md defines it: UUIDv8 of SHA-256 over the kind and the fields, each behind its length."""
    hashed = hashlib.sha256()
    for field in (kind.encode(), *(f.encode() if isinstance(f, str) else f for f in fields)):
        hashed.update(len(field).to_bytes(4, "big") + field)
    head = bytearray(hashed.digest()[:16])
    head[6] = head[6] & 0x0F | 0x80
    head[8] = head[8] & 0x3F | 0x80
    return bytes(head)


def command(arguments, request_id, topic):
    """What changes in which library."""
    if arguments.command == "create":
        case = derive("case", topic, request_id)
        return {
            "operation": "create",
            "library": derive("library", arguments.tenant, case),
            "label": arguments.name,
        }
    return {
        "operation": arguments.command,
        "library": uuid.UUID(arguments.library).bytes,
        "person_id": arguments.person,
    }


def request(arguments):
    """The record, its topic and its key; fields left out take the schema's defaults."""
    request_id = str(uuid.uuid4())
    record = {"request_id": request_id, "scene": "default"}
    if arguments.command == "search":
        record |= {
            "kind": "search",
            "probe": picture(arguments.picture),
            "search": {"libraries": [uuid.UUID(arguments.library).bytes], "persons_max": 5},
        }
        topic = f"shiren.{arguments.tenant}.requests.{arguments.lane}"
        return record, topic, f"{arguments.tenant}/{request_id}"
    topic = f"shiren.{arguments.tenant}.library-commands"
    record["kind"] = "unenrol" if arguments.command == "unenrol" else "enrol"
    record["command"] = command(arguments, request_id, topic)
    if arguments.command == "enrol":
        # Nobody is enrolled without them.
        record |= {
            "probe": picture(arguments.picture),
            "consent_ref": arguments.consent_ref,
            "purpose": arguments.purpose,
        }
    # One key a library: its commands keep their order.
    return record, topic, f"{arguments.tenant}/{uuid.UUID(bytes=record['command']['library'])}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bootstrap", default="127.0.0.1:9092", help="host:port of a broker")
    parser.add_argument("--tenant", default="default")
    parser.add_argument("--lane", default="interactive")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("create").add_argument("name")
    for name, fields in (
        ("enrol", ["library", "person", "picture"]),
        ("search", ["library", "picture"]),
        ("unenrol", ["library", "person"]),
    ):
        one = commands.add_parser(name)
        for field in fields:
            one.add_argument(field)
        if name == "enrol":
            one.add_argument("--consent-ref", required=True)
            one.add_argument("--purpose", required=True)
    arguments = parser.parse_args()
    try:
        record, topic, key = request(arguments)
        send(arguments.bootstrap, topic, key, record)
    except (OSError, ValueError, KafkaException) as error:
        sys.exit(f"library: {error}")
    made = [str(uuid.UUID(bytes=record["command"]["library"]))] if arguments.command == "create" else []
    print(record["request_id"], *made)


if __name__ == "__main__":
    main()
