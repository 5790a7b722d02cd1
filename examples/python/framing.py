"""Avro single-object encoding, as docs/wire.md describes it: C3 01, fingerprint, body."""

import io
import json
from pathlib import Path

import fastavro
from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
MARKER = b"\xc3\x01"


class Schema:
    """A schema file of schemas/, and the bytes that its records begin with."""

    def __init__(self, path):
        text = json.loads(Path(path).read_text(encoding="utf-8"))
        # The 8 bytes of CRC-64-AVRO, little-endian, as hex.
        crc = fingerprint(to_parsing_canonical_form(text), "CRC-64-AVRO")
        self.header = MARKER + bytes.fromhex(crc)
        self.parsed = parse_schema(text)

    def body(self, record):
        """Avro binary encoding alone."""
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self.parsed, record, strict_allow_default=True)
        return out.getvalue()

    def encode(self, record):
        """A whole record as it goes on the wire."""
        return self.header + self.body(record)


def decode(value, schemas):
    """A record, read by whichever of `schemas` wrote it."""
    for schema in schemas:
        if value.startswith(schema.header):
            rest = io.BytesIO(value[len(schema.header):])
            record = fastavro.schemaless_reader(rest, schema.parsed)
            if rest.read(1):
                raise ValueError("bytes behind the record")
            return record
    raise ValueError(f"no known schema begins with {value[:10].hex()}: update schemas/")
