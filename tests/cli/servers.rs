//! Servers of PostgreSQL that will not do, and that no machine of ours has: played as far as the program asks them.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::behaviour::{folder, orderflow, run, stderr};
use crate::secrets::rest;

/// Types of columns, by their numbers.
const BOOLEAN: u32 = 16;
const BIGINT: u32 = 20;
const TEXT: u32 = 25;
const TEXTS: u32 = 1009;

/// What a server says of itself.
#[derive(Debug, Clone, Copy)]
struct Server {
    version: i64,
    encoding: &'static str,
    /// Of each setting, whatever it was set to.
    setting: &'static str,
}

const GOOD: Server = Server {
    version: 150_004,
    encoding: "UTF8",
    setting: "",
};

#[test]
fn a_server_that_will_not_do_is_refused_with_the_reason() {
    for (server, why) in [
        (
            Server {
                version: 140_010,
                ..GOOD
            },
            "it is PostgreSQL 14.10, and 15 is the oldest that will do",
        ),
        (
            Server {
                encoding: "LATIN1",
                ..GOOD
            },
            "its encoding is LATIN1; create the database with ENCODING 'UTF8'",
        ),
        (
            Server { setting: "off", ..GOOD },
            "default_transaction_isolation is off though repeatable read was asked for",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let place = listener.local_addr().expect("its address");
        let playing = std::thread::spawn(move || server.play(listener.accept().expect("a client").0));
        let folder = folder();
        let mut command = orderflow(folder.path(), &["db", "status", "inventory"]);
        command.env(
            "ORDERFLOW_DATABASE",
            format!("postgres://u@{place}/shop?sslmode=disable"),
        );
        let output = run(&mut command);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(5), "{said}");
        assert!(said.starts_with("error[store-refused]"), "{said}");
        assert!(
            said.contains(&format!("postgres://{place}/shop cannot be used: {why}")),
            "{said}"
        );
        // The program ends without taking leave.
        drop(playing.join().expect("no panic"));
    }
}

impl Server {
    /// Answers one client until it goes.
    fn play(self, mut client: TcpStream) -> io::Result<()> {
        let mut length = [0; 4];
        client.read_exact(&mut length)?;
        rest(&mut client, &length);
        say(&mut client, b'R', &0_u32.to_be_bytes())?;
        say(&mut client, b'Z', b"I")?;
        let mut asked = Vec::new();
        loop {
            let mut head = [0; 5];
            client.read_exact(&mut head)?;
            let body = rest(&mut client, &head[1..]);
            match head[0] {
                b'P' => {
                    asked = body;
                    say(&mut client, b'1', &[])?;
                }
                b'D' => describe(&mut client, &asked)?,
                b'B' => say(&mut client, b'2', &[])?,
                b'E' => self.answer(&mut client, &asked)?,
                b'C' => say(&mut client, b'3', &[])?,
                b'Q' => {
                    say(&mut client, b'C', b"SET\0")?;
                    say(&mut client, b'Z', b"I")?;
                }
                b'S' => say(&mut client, b'Z', b"I")?,
                _ => return Ok(()),
            }
        }
    }

    fn answer(self, client: &mut TcpStream, asked: &[u8]) -> io::Result<()> {
        if is_of_settings(asked) {
            row(client, &[self.setting.as_bytes()])?;
        } else {
            let version = format!("{}.{}", self.version / 10_000, self.version % 10_000);
            let number = self.version.to_be_bytes();
            row(client, &[&number, version.as_bytes(), self.encoding.as_bytes(), &[0]])?;
        }
        say(client, b'C', b"SELECT 1\0")
    }
}

fn describe(client: &mut TcpStream, asked: &[u8]) -> io::Result<()> {
    let (takes, gives): (&[u32], &[u32]) = if is_of_settings(asked) {
        (&[TEXTS], &[TEXT])
    } else {
        (&[], &[BIGINT, TEXT, TEXT, BOOLEAN])
    };
    let mut parameters = count(takes.len());
    parameters.extend(takes.iter().flat_map(|kind| kind.to_be_bytes()));
    say(client, b't', &parameters)?;
    let mut columns = count(gives.len());
    for kind in gives {
        // A name, of no table, a type of any length, as bytes.
        columns.extend(b"column\0\0\0\0\0\0\0");
        columns.extend(kind.to_be_bytes());
        columns.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 1]);
    }
    say(client, b'T', &columns)
}

fn is_of_settings(asked: &[u8]) -> bool {
    String::from_utf8_lossy(asked).contains("unnest")
}

fn row(client: &mut TcpStream, values: &[&[u8]]) -> io::Result<()> {
    let mut body = count(values.len());
    for value in values {
        body.extend(u32::try_from(value.len()).expect("short").to_be_bytes());
        body.extend_from_slice(value);
    }
    say(client, b'D', &body)
}

fn count(number: usize) -> Vec<u8> {
    u16::try_from(number).expect("few").to_be_bytes().to_vec()
}

/// A message of this kind.
fn say(client: &mut TcpStream, kind: u8, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len() + 4).expect("short").to_be_bytes();
    client.write_all(&[&[kind], &length[..], body].concat())
}
