//! Making durable what was committed, beside the units of the next group.
//!
//! `COMMIT` adds to the write-ahead log and does not sync what it adds (`synchronous=NORMAL`). A thread of its own syncs the
//! log then, and nobody hears of a commit before that: what is not durable is told to no lane and read by none.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use tokio::sync::watch;

use super::open::{self, OpenError};
use crate::store::StoreError;
use crate::store::group::Group;

/// The thread that syncs.
#[derive(Debug)]
pub(super) struct Syncer {
    /// Taken when the writer goes, which ends the thread.
    queue: Option<mpsc::Sender<Said>>,
    thread: Option<thread::JoinHandle<()>>,
    durability: Durability,
}

/// How far everything is durable. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Durability {
    /// The commits asked for.
    asked: Arc<AtomicU64>,
    synced: watch::Receiver<Synced>,
}

/// Commits that are durable, by number; nothing is any more after a sync has failed.
type Synced = Result<u64, StoreError>;

/// What the thread that syncs is told.
#[derive(Debug)]
enum Said {
    Ended(Ended),
    /// The disk lost something else.
    Lost(StoreError),
}

/// A group whose COMMIT has answered.
#[derive(Debug)]
struct Ended {
    number: u64,
    group: Arc<Group>,
    how: Result<(), StoreError>,
}

/// A COMMIT that is being asked for, to be answered for.
#[must_use]
pub(super) struct Asked(u64);

impl Syncer {
    /// Syncs the log of the database at `path`, which is open: SQLite keeps the log while a connection is, and locks other
    /// files, so it may be opened once more.
    ///
    /// Opened here and not when it is needed: the system tells a failed write to whoever has the file open by then.
    pub(super) fn start(path: &Path) -> Result<Self, OpenError> {
        let unwritable = |error: io::Error| open::unwritable(path, &error);
        // SQLite follows links to the database, and keeps the log beside what they lead to.
        let log = log_of(&path.canonicalize().map_err(unwritable)?);
        let file = File::open(&log).map_err(unwritable)?;
        Self::with(move || file.sync_data().map_err(|error| lost(&log, &error)))
    }

    pub(super) fn with(sync: impl FnMut() -> Result<(), StoreError> + Send + 'static) -> Result<Self, OpenError> {
        let (queue, queued) = mpsc::channel();
        let (sender, synced) = watch::channel(Ok(0));
        let thread = thread::Builder::new()
            .name("sqlite-sync".to_owned())
            .spawn(move || keep_syncing(&queued, &sender, sync))
            .map_err(|error| OpenError::Unavailable(format!("no thread for the database: {error}")))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
            durability: Durability {
                asked: Arc::default(),
                synced,
            },
        })
    }

    pub(super) fn durability(&self) -> Durability {
        self.durability.clone()
    }

    /// COMMIT is asked for after this and not before: whoever reads what it adds finds its number taken.
    pub(super) fn ask(&self) -> Asked {
        Asked(self.durability.asked.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// The COMMIT has answered so. Tells everybody who waits for the group, after a sync.
    pub(super) fn tell(&self, Asked(number): Asked, group: Arc<Group>, how: Result<(), StoreError>) {
        self.say(Said::Ended(Ended { number, group, how }));
    }

    /// Nothing is durable from now on, as after a sync that failed.
    pub(super) fn lose(&self, why: StoreError) {
        self.say(Said::Lost(why));
    }

    fn say(&self, said: Said) {
        if let Some(queue) = &self.queue {
            // The thread ends with this value only.
            let _always_there = queue.send(said);
        }
    }
}

impl Drop for Syncer {
    /// When this returns, everybody has been told.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

impl Durability {
    /// Waits until everything is durable that could be read by now.
    ///
    /// # Errors
    /// [`StoreError::Halt`]: it never will be.
    pub(super) async fn of_all_that_was_read(&self) -> Result<(), StoreError> {
        let asked = self.asked.load(Ordering::SeqCst);
        self.at_least(asked).await
    }

    /// Whether a sync has failed: what is in the log may not be what was written.
    pub(super) fn is_lost(&self) -> bool {
        self.synced.borrow().is_err()
    }

    async fn at_least(&self, number: u64) -> Result<(), StoreError> {
        let reached = |synced: &Synced| synced.as_ref().map_or(true, |synced| *synced >= number);
        match self.synced.clone().wait_for(reached).await {
            Ok(synced) => synced.clone().map(drop),
            Err(_) => Err(StoreError::Unavailable("the database is being closed".to_owned())),
        }
    }
}

/// One sync for all groups that were committed before it begins.
fn keep_syncing(
    queued: &mpsc::Receiver<Said>,
    synced: &watch::Sender<Synced>,
    mut sync: impl FnMut() -> Result<(), StoreError>,
) {
    while let Ok(first) = queued.recv() {
        let mut state = synced.borrow().clone();
        let mut ended = Vec::new();
        for said in std::iter::once(first).chain(queued.try_iter()) {
            match said {
                Said::Ended(group) => ended.push(group),
                Said::Lost(why) => state = state.and(Err(why)),
            }
        }
        // What could not be synced is lost to every later sync as well: the system has forgotten that it was to be written.
        if state.is_ok() {
            let last = ended.last().map_or(0, |ended| ended.number);
            // After a COMMIT that failed too: the log may hold it all the same, and be read.
            state = sync().map(|()| last);
        }
        let _before = synced.send_replace(state.clone());
        for Ended { group, how, .. } in ended {
            group.ended(&how.and_then(|()| state.clone().map(drop)));
        }
    }
}

fn log_of(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    path.into()
}

fn lost(log: &Path, error: &io::Error) -> StoreError {
    StoreError::Halt(format!(
        "the disk did not keep what was written to {}: {error}; nothing of it was published. Look at the system's log, mend or \
         change the disk, then start again",
        log.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::group::answer_of;

    const SOON: std::time::Duration = std::time::Duration::from_secs(20);

    fn commit(syncer: &Syncer, how: Result<(), StoreError>) -> impl Future<Output = Result<(), StoreError>> + use<> {
        let group = Arc::new(Group::default());
        let (durable, _) = group.whole().expect("whole");
        syncer.tell(syncer.ask(), group, how);
        answer_of(durable)
    }

    #[tokio::test]
    async fn nobody_hears_of_a_commit_before_its_sync() {
        let (go, wait) = mpsc::channel::<()>();
        // Ends by itself where the test has failed: the thread is waited for.
        let sync = move || wait.recv_timeout(SOON).map_err(|_| StoreError::Undone);
        let syncer = Syncer::with(sync).expect("a thread");
        let mut told = std::pin::pin!(commit(&syncer, Ok(())));
        let durable = syncer.durability();
        let mut read = std::pin::pin!(durable.of_all_that_was_read());
        tokio::select! {
            biased;
            _ = &mut told => panic!("told"),
            _ = &mut read => panic!("read"),
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
        }
        go.send(()).expect("waited for");
        assert_eq!((told.await, read.await), (Ok(()), Ok(())));
    }

    #[tokio::test]
    async fn what_a_failed_commit_may_have_left_is_synced_all_the_same() {
        let (tell, told) = mpsc::channel();
        let sync = move || {
            let _nobody_listens = tell.send(());
            Ok(())
        };
        let syncer = Syncer::with(sync).expect("a thread");
        assert_eq!(syncer.durability().of_all_that_was_read().await, Ok(()));
        assert!(told.try_recv().is_err(), "there was nothing to sync");
        let lost = Err(StoreError::Unknown("lost".to_owned()));
        assert_eq!(commit(&syncer, lost.clone()).await, lost);
        assert_eq!(told.try_iter().count(), 1);
        assert_eq!(syncer.durability().of_all_that_was_read().await, Ok(()));
    }

    #[tokio::test]
    async fn after_a_failed_sync_nothing_is_durable_any_more() {
        let mut syncs = 0;
        let halt = StoreError::Halt("the disk".to_owned());
        let failed = halt.clone();
        let syncer = Syncer::with(move || {
            syncs += 1;
            if syncs == 2 { Err(failed.clone()) } else { Ok(()) }
        })
        .expect("a thread");
        assert_eq!(commit(&syncer, Ok(())).await, Ok(()));
        for _ in 0..2 {
            assert_eq!(commit(&syncer, Ok(())).await, Err(halt.clone()));
            assert_eq!(syncer.durability().of_all_that_was_read().await, Err(halt.clone()));
        }
    }

    #[tokio::test]
    async fn what_is_lost_elsewhere_ends_it_as_well() {
        let mut syncs = 0;
        let syncer = Syncer::with(move || {
            syncs += 1;
            assert_eq!(syncs, 1, "nothing is worth a sync any more");
            Ok(())
        })
        .expect("a thread");
        assert_eq!(commit(&syncer, Ok(())).await, Ok(()));
        let halt = StoreError::Halt("the disk".to_owned());
        syncer.lose(halt.clone());
        assert_eq!(commit(&syncer, Ok(())).await, Err(halt.clone()));
        assert!(syncer.durability().is_lost());
        syncer.lose(StoreError::Halt("once more".to_owned()));
        assert_eq!(commit(&syncer, Ok(())).await, Err(halt), "the first cause stays");
    }

    #[test]
    fn a_disk_that_fails_is_named_with_the_log() {
        let StoreError::Halt(why) = lost(&log_of(Path::new("/data/group.db")), &io::Error::other("EIO")) else {
            panic!("a person must look");
        };
        assert!(
            why.contains("/data/group.db-wal") && why.contains("start again"),
            "{why}"
        );
    }
}
