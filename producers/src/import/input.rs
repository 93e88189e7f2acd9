//! Where the bytes come from.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::awaited::Awaited;
use super::{Format, ImportError};
use crate::Stop;

/// Where the bytes come from, gzipped or not.
#[derive(Debug)]
pub struct Input {
    from: Origin,
    meter: Meter,
}

enum Origin {
    File(PathBuf),
    Reader(String, Box<dyn Read + Send>),
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// How many bytes were taken from the input, as they lie there.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter {
    read: Arc<AtomicU64>,
    size: Option<u64>,
}

/// An input that is being read, unpacked.
pub(crate) struct Opened {
    pub(crate) name: String,
    pub(crate) format: Format,
    pub(crate) bytes: Box<dyn BufRead>,
}

const BUFFER_BYTES: usize = 64 * 1024;
const GZIP: [u8; 2] = [0x1f, 0x8b];

impl Input {
    /// A file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let size = path
            .metadata()
            .ok()
            .filter(std::fs::Metadata::is_file)
            .map(|file| file.len());
        Self {
            from: Origin::File(path),
            meter: Meter {
                size,
                ..Meter::default()
            },
        }
    }

    /// Standard input.
    #[must_use]
    pub fn stdin() -> Self {
        Self::reader("-", io::stdin())
    }

    /// Standard input, until the end is asked for: whoever types it, or the pipe, may never send another byte.
    #[must_use]
    pub fn stdin_until(stop: &Stop) -> Self {
        Self::reader("-", Awaited::new(io::stdin(), stop))
    }

    /// Bytes that are part of the program.
    #[must_use]
    pub fn bytes(name: &str, bytes: &'static [u8]) -> Self {
        let mut input = Self::reader(name, Cursor::new(bytes));
        input.meter.size = Some(bytes.len() as u64);
        input
    }

    /// Anything else that can be read; the name is for messages.
    pub fn reader(name: &str, reader: impl Read + Send + 'static) -> Self {
        Self {
            from: Origin::Reader(name.to_owned(), Box::new(reader)),
            meter: Meter::default(),
        }
    }

    pub(super) fn name(&self) -> String {
        self.from.name()
    }

    pub(super) fn meter(&self) -> Meter {
        self.meter.clone()
    }

    pub(crate) fn open(self, format: Option<Format>) -> Result<Opened, ImportError> {
        let name = self.from.name();
        let packed = self.from.open().map(|reader| {
            let counted = Counted {
                reader,
                count: self.meter.read,
            };
            BufReader::with_capacity(BUFFER_BYTES, counted)
        });
        let opened = packed.and_then(unpack).and_then(|mut bytes| {
            let found = detect(&mut bytes)?;
            Ok((bytes, format.unwrap_or(found)))
        });
        match opened {
            Ok((bytes, format)) => Ok(Opened { name, format, bytes }),
            Err(cause) => Err(ImportError::Open { file: name, cause }),
        }
    }
}

impl Meter {
    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    pub(super) const fn size(&self) -> Option<u64> {
        self.size
    }
}

impl Origin {
    fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Reader(name, _) => name.clone(),
        }
    }

    fn open(self) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Self::File(path) => Ok(Box::new(File::open(path)?)),
            Self::Reader(_, reader) => Ok(reader),
        }
    }
}

struct Counted {
    reader: Box<dyn Read + Send>,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// By the file's own mark, whatever its name.
fn unpack(mut packed: BufReader<Counted>) -> io::Result<Box<dyn BufRead>> {
    if packed.fill_buf()?.starts_with(&GZIP) {
        let unpacked = MultiGzDecoder::new(packed);
        return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked)));
    }
    Ok(Box::new(packed))
}

fn detect(bytes: &mut impl BufRead) -> io::Result<Format> {
    let first = bytes.fill_buf()?.iter().find(|byte| !byte.is_ascii_whitespace());
    Ok(if first == Some(&b'{') {
        Format::Ndjson
    } else {
        Format::Csv
    })
}
