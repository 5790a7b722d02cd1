"""Writes ids.json and keys.json: an independent second implementation of docs/wire.md."""
import hashlib, json, pathlib, uuid


def derive(kind, *fields):
    h = hashlib.sha256()
    for field in (kind, *fields):
        data = field.bytes if isinstance(field, uuid.UUID) else str(field).encode()
        h.update(len(data).to_bytes(4, "big") + data)
    b = bytearray(h.digest()[:16])
    b[6] = b[6] & 0x0F | 0x80
    b[8] = b[8] & 0x3F | 0x80
    return uuid.UUID(bytes=bytes(b))


def murmur2(data):
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i:i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    if rest := data[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


topic = "shiren.default.requests.interactive"
a = derive("case", topic, "req-1")
ids = [
    ("case", topic, "req-1"), ("case", topic, "请求-1"), ("case", topic, 3, 41),
    ("record", a, "decode", "next", 0), ("record", a, "detect", "next", 1),
    ("verdict", a), ("dead_letter", topic, 0, 7), ("timer", "track", "default/door-1", 1700000000000000),
    ("library", "default", derive("case", "shiren.default.library-commands", "req-1")),
]
keys = ["default/req-1", "default/请求-1", "a/b", "acme/0", "", "x" * 100] + [f"default/{i}" for i in range(20)]
here = pathlib.Path(__file__).parent
here.joinpath("ids.json").write_text(json.dumps(
    [{"kind": k, "fields": [str(f) if isinstance(f, uuid.UUID) else f for f in fs], "id": str(derive(k, *fs))}
     for k, *fs in ids], ensure_ascii=False, indent=1) + "\n")
here.joinpath("keys.json").write_text(json.dumps(
    [{"key": k, "murmur2": murmur2(k.encode()), "partition_of_12": (murmur2(k.encode()) & 0x7FFFFFFF) % 12}
     for k in keys], ensure_ascii=False, indent=1) + "\n")
