//! The contracts over HTTP: the read-only half of Confluent's registry API, so that other people's tools decode our records.
//!
//! Subjects are the records' full names. What would change something is refused, but what is there already may be
//! registered again, since some clients do nothing else at their start.

mod answer;
mod lookup;
mod routes;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a client may take to send the head of a request; one that never does holds a connection no longer than this.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Most connections at a time; further ones wait to be accepted. Clients keep a handful open each.
pub const MAX_CONNECTIONS: usize = 256;

/// How long answers under way may take once the server is told to stop.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// How long to wait after a failed accept, which is mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the contracts on `listener` until `shutdown` resolves, then finishes what is under way.
///
/// # Errors
///
/// When the address of the listener cannot be read.
pub async fn serve(listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    tracing::info!(address = %listener.local_addr()?, "serving the contracts");
    let connections = GracefulShutdown::new();
    tokio::select! {
        never = accept_all(&listener, &connections) => match never {},
        () = shutdown => {}
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, connections.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some answers were cut off");
    }
    Ok(())
}

async fn accept_all(listener: &TcpListener, connections: &GracefulShutdown) -> Infallible {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let service = TowerToHyperService::new(routes::router());
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            unreachable!("nobody closes the semaphore");
        };
        match listener.accept().await {
            Ok((stream, _)) => start(stream, service.clone(), connections, place),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn start(
    stream: TcpStream,
    service: TowerToHyperService<axum::Router>,
    connections: &GracefulShutdown,
    place: OwnedSemaphorePermit,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
        drop(place);
    });
}
