//! A schema registry for tests: answers what a test tells it to, and remembers what it was asked.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "several test programs include this, and each uses its part"
)]

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// As `POST /subjects/x`.
    pub line: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A status and a body, with JSON's type.
    Json(u16, Value),
    /// Bytes as they are, head and all; then the connection ends.
    Raw(Vec<u8>),
    /// Nothing, until the client goes away.
    Silence,
}

impl Reply {
    /// A refusal in Confluent's words.
    pub fn problem(status: u16, code: u64, message: &str) -> Self {
        Self::Json(status, json!({"error_code": code, "message": message}))
    }

    /// A page, as proxies answer.
    pub fn html(status: u16) -> Self {
        let page = "<html><body>hello</body></html>";
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n",
            page.len()
        );
        Self::Raw(format!("{head}{page}").into_bytes())
    }
}

/// A connection, secret or not.
pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// What is made of a connection before it is read.
pub type Wrap = Arc<dyn Fn(TcpStream) -> io::Result<Box<dyn Stream>> + Send + Sync>;

/// A server in the background; it ends when it is dropped.
pub struct Stub {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stub {
    /// On a free port.
    pub fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), answer)
    }

    /// On a given port: that of one that has ended, for instance.
    pub fn start_at(address: SocketAddr, answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::wrapped(address, Arc::new(|stream| Ok(Box::new(stream))), answer)
    }

    /// Behind something, as TLS.
    pub fn wrapped(address: SocketAddr, wrap: Wrap, answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (asked, ending) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (log, end, answer) = (Arc::clone(&asked), Arc::clone(&ending), Arc::new(answer));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (log, wrap, answer) = (Arc::clone(&log), Arc::clone(&wrap), Arc::clone(&answer));
                std::thread::spawn(move || drop(serve(stream, &wrap, &log, &*answer)));
            }
        });
        Self {
            address,
            asked,
            ending,
            thread: Some(thread),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.asked).clone()
    }

    /// How many requests began like this.
    pub fn count(&self, line: &str) -> usize {
        lock(&self.asked)
            .iter()
            .filter(|asked| asked.line.starts_with(line))
            .count()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl fmt::Debug for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stub")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

fn serve(stream: TcpStream, wrap: &Wrap, log: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked) -> Reply) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut stream = BufReader::new(wrap(stream)?);
    let Some(asked) = read(&mut stream)? else { return Ok(()) };
    let reply = answer(&asked);
    lock(log).push(asked);
    let stream = stream.get_mut();
    match reply {
        Reply::Json(status, body) => {
            let body = body.to_string();
            let kind = "application/vnd.schemaregistry.v1+json";
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
            )?;
        }
        Reply::Raw(bytes) => stream.write_all(&bytes)?,
        Reply::Silence => drop(stream.read(&mut [0])),
    }
    stream.flush()
}

fn read(stream: &mut impl io::BufRead) -> io::Result<Option<Asked>> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        if stream.read_line(&mut header)? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body)?;
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(Asked { line, headers, body }))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A registry that keeps schemas in memory, as far as the tests need one. Clones are the same registry.
#[derive(Debug, Clone, Default)]
pub struct Book(Arc<Mutex<Vec<Entry>>>);

#[derive(Debug, Clone)]
struct Entry {
    id: u32,
    subject: String,
    version: usize,
    schema: String,
}

impl Book {
    /// Puts a schema under a subject, under an id; gives the version.
    pub fn put(&self, id: u32, subject: &str, schema: &str) -> usize {
        let mut entries = lock(&self.0);
        let version = entries.iter().filter(|entry| entry.subject == subject).count() + 1;
        entries.push(Entry {
            id,
            subject: subject.to_owned(),
            version,
            schema: schema.to_owned(),
        });
        version
    }

    pub fn clear(&self) {
        lock(&self.0).clear();
    }

    pub fn len(&self) -> usize {
        lock(&self.0).len()
    }

    pub fn answer(&self, asked: &Asked) -> Reply {
        let (method, path) = asked.line.split_once(' ').expect("a method and a path");
        let path = path.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method, parts.as_slice()) {
            ("GET", ["schemas", "ids", id]) => self.by_id(id),
            ("GET", ["subjects", subject, "versions"]) => self.versions(subject),
            ("GET", ["subjects", subject, "versions", version]) => self.version(subject, version),
            ("POST", ["subjects", subject]) => self.look_up(subject, &sent(asked)),
            ("POST", ["subjects", subject, "versions"]) => self.register(subject, &sent(asked)),
            ("POST", ["compatibility", "subjects", subject, "versions", _]) => self.compatible(subject),
            _ => Reply::problem(404, 404, "HTTP 404 Not Found"),
        }
    }

    fn of(&self, subject: &str) -> Vec<Entry> {
        lock(&self.0)
            .iter()
            .filter(|entry| entry.subject == subject)
            .cloned()
            .collect()
    }

    fn by_id(&self, id: &str) -> Reply {
        let found = lock(&self.0).iter().find(|entry| entry.id.to_string() == id).cloned();
        match found {
            Some(entry) => Reply::Json(200, json!({"schema": entry.schema})),
            None => Reply::problem(404, 40403, "Schema not found"),
        }
    }

    fn versions(&self, subject: &str) -> Reply {
        let versions: Vec<_> = self.of(subject).iter().map(|entry| entry.version).collect();
        if versions.is_empty() {
            Reply::problem(404, 40401, "Subject not found.")
        } else {
            Reply::Json(200, json!(versions))
        }
    }

    fn compatible(&self, subject: &str) -> Reply {
        if self.of(subject).is_empty() {
            Reply::problem(404, 40401, "Subject not found.")
        } else {
            Reply::Json(200, json!({"is_compatible": true}))
        }
    }

    fn version(&self, subject: &str, version: &str) -> Reply {
        let entries = self.of(subject);
        let found = match version {
            "latest" => entries.last(),
            number => entries.iter().find(|entry| entry.version.to_string() == number),
        };
        found.map_or_else(|| Reply::problem(404, 40402, "Version not found."), described)
    }

    fn look_up(&self, subject: &str, schema: &str) -> Reply {
        let entries = self.of(subject);
        let found = entries.iter().find(|entry| entry.schema == schema);
        found.map_or_else(|| Reply::problem(404, 40403, "Schema not found"), described)
    }

    fn register(&self, subject: &str, schema: &str) -> Reply {
        let found = self.of(subject).into_iter().find(|entry| entry.schema == schema);
        let id = found.map_or_else(
            || {
                let id = lock(&self.0).iter().map(|entry| entry.id).max().unwrap_or(0) + 1;
                self.put(id, subject, schema);
                id
            },
            |entry| entry.id,
        );
        Reply::Json(200, json!({"id": id}))
    }
}

fn sent(asked: &Asked) -> String {
    let body: Value = serde_json::from_str(&asked.body).expect("JSON");
    body["schema"].as_str().expect("a schema").to_owned()
}

fn described(entry: &Entry) -> Reply {
    let Entry {
        id,
        subject,
        version,
        schema,
    } = entry;
    Reply::Json(
        200,
        json!({"id": id, "subject": subject, "version": version, "schema": schema}),
    )
}
