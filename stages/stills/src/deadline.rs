//! Stopping a decoder that pulls its input.

use crate::refuse;
use shiren_contract::codes;
use shiren_contract::still::StillError;
use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

/// Most bytes handed out between two looks at the clock.
const PIECE_BYTES: usize = 8 * 1024;

/// The time by which a picture must be decoded.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    started: Instant,
    limit: Duration,
}

impl Deadline {
    pub(crate) fn starting_now(limit_ms: u64) -> Self {
        Self {
            started: Instant::now(),
            limit: Duration::from_millis(limit_ms),
        }
    }

    /// Refuses once the time is over.
    pub(crate) fn check(self) -> Result<(), StillError> {
        if self.is_over() {
            let detail = format!("not decoded within {} ms", self.limit.as_millis());
            return Err(refuse(codes::DECODE_TIMEOUT, detail));
        }
        Ok(())
    }

    fn is_over(self) -> bool {
        self.started.elapsed() > self.limit
    }
}

/// Bytes that stop flowing when the time is over.
pub(crate) struct TimedBytes<'a> {
    bytes: Cursor<&'a [u8]>,
    deadline: Deadline,
}

impl<'a> TimedBytes<'a> {
    pub(crate) fn new(bytes: &'a [u8], deadline: Deadline) -> Self {
        Self {
            bytes: Cursor::new(bytes),
            deadline,
        }
    }
}

impl Read for TimedBytes<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let piece = self.fill_buf()?;
        let taken = piece.len().min(into.len());
        into[..taken].copy_from_slice(&piece[..taken]);
        self.consume(taken);
        Ok(taken)
    }
}

impl BufRead for TimedBytes<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.deadline.is_over() {
            return Err(io::Error::from(io::ErrorKind::TimedOut));
        }
        let rest = self.bytes.fill_buf()?;
        Ok(&rest[..rest.len().min(PIECE_BYTES)])
    }

    fn consume(&mut self, amount: usize) {
        self.bytes.consume(amount);
    }
}

impl Seek for TimedBytes<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_flow_until_the_time_is_over() {
        let data = vec![7; 3 * PIECE_BYTES + 1];
        let mut all = Vec::new();
        TimedBytes::new(&data, Deadline::starting_now(60_000))
            .read_to_end(&mut all)
            .unwrap();
        assert_eq!(all, data);

        let over = Deadline {
            started: Instant::now() - Duration::from_millis(2),
            limit: Duration::from_millis(1),
        };
        let error = TimedBytes::new(&data, over).read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(over.check().map_err(|e| e.code), Err(codes::DECODE_TIMEOUT));
    }
}
