//! A door before the server, which breaks the connections that go through it.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Listens on a port of its own. Its threads end with the process.
pub(crate) struct Door {
    place: String,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Door {
    /// Lets everything through to the server at `place`.
    pub(crate) fn before(place: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let door = Self {
            place: listener.local_addr().expect("an address").to_string(),
            open: Arc::default(),
        };
        let open = Arc::clone(&door.open);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Whoever is let through nowhere notices.
                drop(pass(client, &place, &open));
            }
        });
        door
    }

    /// Host and port.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Breaks what connections there are, both ways. Others get through.
    pub(crate) fn cut(&self) {
        for end in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            drop(end.shutdown(Shutdown::Both));
        }
    }
}

fn pass(client: TcpStream, place: &str, open: &Mutex<Vec<TcpStream>>) -> io::Result<()> {
    let server = TcpStream::connect(place)?;
    let ends = [client.try_clone()?, server.try_clone()?];
    open.lock().unwrap_or_else(PoisonError::into_inner).extend(ends);
    let (back, forth) = ((server.try_clone()?, client.try_clone()?), (client, server));
    for (mut from, mut to) in [back, forth] {
        thread::spawn(move || {
            drop(io::copy(&mut from, &mut to));
            drop(to.shutdown(Shutdown::Both));
        });
    }
    Ok(())
}
