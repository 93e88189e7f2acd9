//! Bytes that may never come: from a terminal, or a pipe whose other end keeps silent.

use std::fmt;
use std::io::{self, Cursor, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::Stop;

/// How often whoever waits looks whether the end was asked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

const CHUNK_BYTES: usize = 64 * 1024;

/// Chunks that may be read ahead.
const AHEAD: usize = 2;

/// Reads `reader` on a thread of its own until the end is asked for. The thread ends with its input, or with the process.
pub(super) struct Awaited {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Cursor<Vec<u8>>,
    stop: Stop,
}

/// Why there is nothing more to read, as the cause of an [`io::Error`].
#[derive(Debug)]
struct Stopped;

impl Awaited {
    pub(super) fn new(reader: impl Read + Send + 'static, stop: &Stop) -> Self {
        let (sender, chunks) = sync_channel(AHEAD);
        std::thread::spawn(move || forward(reader, &sender));
        Self {
            chunks,
            chunk: Cursor::default(),
            stop: stop.clone(),
        }
    }
}

/// Whether that is how reading ends when the end was asked for.
pub(super) fn is_stop(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(cause) if cause.is::<Stopped>())
}

impl Read for Awaited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.chunk.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            match self.chunks.recv_timeout(LOOK_EVERY) {
                Ok(chunk) => self.chunk = Cursor::new(chunk?),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
                Err(RecvTimeoutError::Timeout) if self.stop.is_requested() => return Err(io::Error::other(Stopped)),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

/// Hands on what is read, and its first error, until nobody wants it any more.
fn forward(mut reader: impl Read, to: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = match reader.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read,
        };
        let next = match read {
            Ok(0) => return,
            Ok(length) => {
                chunk.truncate(length);
                Ok(chunk)
            }
            Err(error) => Err(error),
        };
        let last = next.is_err();
        if to.send(next).is_err() || last {
            return;
        }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("asked to end")
    }
}

impl std::error::Error for Stopped {}

#[cfg(test)]
mod tests {
    use std::io::{Write as _, pipe};

    use super::*;

    #[test]
    fn what_comes_is_read_to_its_end() {
        let (input, mut output) = pipe().expect("a pipe");
        let sent: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let expected = sent.clone();
        let sending = std::thread::spawn(move || output.write_all(&sent));
        let mut read = Vec::new();
        let end = Awaited::new(input, &Stop::default()).read_to_end(&mut read);
        assert_eq!((end.ok(), read == expected), (Some(200_000), true));
        sending.join().expect("it ends").expect("sent");
    }

    #[test]
    fn nobody_waits_for_bytes_that_do_not_come_once_the_end_is_asked_for() {
        let (input, mut output) = pipe().expect("a pipe");
        output.write_all(b"half a li").expect("sent");
        let stop = Stop::default();
        let mut awaited = Awaited::new(input, &stop);
        let mut half = [0; 9];
        awaited.read_exact(&mut half).expect("what was sent");
        stop.request();
        let end = awaited.read(&mut half).expect_err("nothing came");
        assert!(is_stop(&end), "{end}");
        drop(output);
    }

    #[test]
    fn an_error_is_handed_on() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let end = Awaited::new(Broken, &Stop::default()).read(&mut [0]);
        assert_eq!(end.map_err(|error| error.kind()), Err(io::ErrorKind::BrokenPipe));
    }
}
