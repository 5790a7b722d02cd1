//! Keys and the partition each gives.

/// The key of a request's records: `<tenant>/<request_id>`.
#[must_use]
pub fn request(tenant: &str, request_id: &str) -> String {
    format!("{tenant}/{request_id}")
}

/// The key of a library's commands: `<tenant>/<library id>`.
#[must_use]
pub fn library(tenant: &str, library: crate::Id) -> String {
    format!("{tenant}/{library}")
}

/// The key of a person's last unenrolment in `shiren.library`: `<tenant>/<library id>/<person id>`.
#[must_use]
pub fn person(tenant: &str, library: crate::Id, person: &str) -> String {
    format!("{tenant}/{library}/{person}")
}

/// The key of a face in `shiren.library`: `<tenant>/<library id>/<person id>/<face id>`. A person's id may hold slashes: the
/// face's stands behind the last one, in a length of its own.
#[must_use]
pub fn face(tenant: &str, library: crate::Id, person: &str, face: crate::Id) -> String {
    format!("{tenant}/{library}/{person}/{face}")
}

/// The tenant and the rest of a key; `None` when there is no slash or it is not UTF-8.
#[must_use]
pub fn split(key: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(key).ok()?.split_once('/')
}

/// Partition of `key` among `partitions`: `(murmur2(key) & 0x7fffffff) % partitions`, as Kafka's
/// Java client and librdkafka's `murmur2` partitioners compute it. 0 when `partitions` is below 1.
#[must_use]
pub fn partition(key: &[u8], partitions: i32) -> i32 {
    if partitions < 1 {
        return 0;
    }
    (murmur2(key) & 0x7fff_ffff).cast_signed() % partitions
}

/// MurmurHash2 with Kafka's seed.
#[must_use]
pub fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let (words, rest) = data.as_chunks::<4>();
    // Kafka hashes the low 32 bits of the length.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the algorithm's own definition"
    )]
    let mut hash = SEED ^ data.len() as u32;
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k = (k ^ k >> 24).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    if !rest.is_empty() {
        let tail = rest
            .iter()
            .rev()
            .fold(0_u32, |tail, byte| tail << 8 | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Vector {
        key: String,
        murmur2: u32,
        partition_of_12: i32,
    }

    #[test]
    fn vectors_hold() {
        let vectors: Vec<Vector> =
            serde_json::from_str(include_str!("../vectors/keys.json")).unwrap();
        assert!(vectors.len() >= 20);
        for vector in vectors {
            assert_eq!(
                murmur2(vector.key.as_bytes()),
                vector.murmur2,
                "{}",
                vector.key
            );
            assert_eq!(
                partition(vector.key.as_bytes(), 12),
                vector.partition_of_12,
                "{}",
                vector.key
            );
        }
    }

    /// From Kafka's own UtilsTest.
    #[test]
    fn kafkas_vectors_hold() {
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn keys_split_at_the_first_slash() {
        assert_eq!(split(b"acme/a/b"), Some(("acme", "a/b")));
        assert_eq!(split(b"acme"), None);
        assert_eq!(split(&[0xff, b'/']), None);
    }
}
