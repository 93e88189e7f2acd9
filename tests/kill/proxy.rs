//! A door before the broker: it breaks connections after a record was written and before anybody is told, and it shuts.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// The request that writes records, by its number in Kafka's protocol.
const PRODUCE: i16 = 0;

/// Listens on a port of its own. Its threads end with the process.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    counts: Arc<Counts>,
    shut: Arc<AtomicBool>,
}

/// Requests that write, through all connections.
#[derive(Debug, Default)]
struct Counts {
    /// Of so many acknowledgements one is lost; zero: none.
    one_in: AtomicU64,
    written: AtomicU64,
    lost: AtomicU64,
}

impl Proxy {
    /// Lets everything through to `broker`, a port of 127.0.0.1, which need not listen yet.
    pub(crate) fn before(broker: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("the port it listens on").port();
        let (counts, shut) = <(Arc<Counts>, Arc<AtomicBool>)>::default();
        let shared = (Arc::clone(&counts), Arc::clone(&shut));
        thread::spawn(move || {
            let (counts, shut) = shared;
            for client in listener.incoming().flatten().filter(|_| !shut.load(Ordering::Relaxed)) {
                let counts = Arc::clone(&counts);
                thread::spawn(move || connect(&client, broker, &counts));
            }
        });
        Self { port, counts, shut }
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on one of `one_in` acknowledgements is lost, and its connection with it.
    pub(crate) fn lose_one_in(&self, one_in: u64) {
        self.counts.one_in.store(one_in, Ordering::Relaxed);
    }

    /// How many acknowledgements were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::Relaxed)
    }

    /// From now on a new connection is ended at once, until [`Proxy::open`]. Those there are go on.
    pub(crate) fn shut(&self) {
        self.shut.store(true, Ordering::Relaxed);
    }

    /// New connections get through again.
    pub(crate) fn open(&self) {
        self.shut.store(false, Ordering::Relaxed);
    }
}

impl Counts {
    /// Whether the acknowledgement of the next request that writes is to be lost.
    fn loses_next(&self) -> bool {
        let written = self.written.fetch_add(1, Ordering::Relaxed) + 1;
        let one_in = self.one_in.load(Ordering::Relaxed);
        one_in > 0 && written.is_multiple_of(one_in)
    }
}

/// One connection, until either side ends it. Its errors are the clients' to notice.
fn connect(client: &TcpStream, broker: u16, counts: &Counts) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", broker)) else {
        return;
    };
    let doomed = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            drop(requests(client, &server, counts, &doomed));
            end(client, &server);
        });
        drop(responses(&server, client, counts, &doomed));
        end(client, &server);
    });
}

/// Passes requests on; notes the numbers of those whose answer is to be lost.
fn requests(
    mut from: &TcpStream,
    mut to: &TcpStream,
    counts: &Counts,
    doomed: &Mutex<BTreeSet<[u8; 4]>>,
) -> io::Result<()> {
    loop {
        let frame = frame(&mut from)?;
        if let [_, _, _, _, high, low, _, _, a, b, c, d, ..] = frame[..]
            && i16::from_be_bytes([high, low]) == PRODUCE
            && counts.loses_next()
        {
            doomed.lock().expect("no panic while it was held").insert([a, b, c, d]);
        }
        to.write_all(&frame)?;
    }
}

/// Passes answers on, up to the first that is to be lost.
fn responses(
    mut from: &TcpStream,
    mut to: &TcpStream,
    counts: &Counts,
    doomed: &Mutex<BTreeSet<[u8; 4]>>,
) -> io::Result<()> {
    loop {
        let frame = frame(&mut from)?;
        if let [_, _, _, _, a, b, c, d, ..] = frame[..]
            && doomed
                .lock()
                .expect("no panic while it was held")
                .contains(&[a, b, c, d])
        {
            counts.lost.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        to.write_all(&frame)?;
    }
}

/// A request or an answer, its length of four bytes in front.
fn frame(from: &mut &TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let size = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
    let mut frame = length.to_vec();
    frame.resize(4 + size, 0);
    from.read_exact(&mut frame[4..])?;
    Ok(frame)
}

fn end(client: &TcpStream, server: &TcpStream) {
    drop(client.shutdown(Shutdown::Both));
    drop(server.shutdown(Shutdown::Both));
}
