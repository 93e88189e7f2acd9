//! Making durable what was committed, beside the units of the next group.
//!
//! `COMMIT` adds to the write-ahead log and syncs nothing (`synchronous=NORMAL`). A thread of its own syncs the log then,
//! and nobody hears of a commit before that: what is not durable is told to no lane and read by none.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use tokio::sync::watch;

use super::open::OpenError;
use crate::store::StoreError;
use crate::store::group::Group;

/// The thread that syncs.
#[derive(Debug)]
pub(super) struct Syncer {
    /// Taken when the writer goes, which ends the thread.
    queue: Option<mpsc::Sender<Ended>>,
    thread: Option<thread::JoinHandle<()>>,
    durable: Durable,
}

/// How far everything is durable. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Durable {
    /// The commits asked for.
    asked: Arc<AtomicU64>,
    synced: watch::Receiver<Synced>,
}

/// Commits that are durable, by number; nothing is any more after a sync has failed.
type Synced = Result<u64, StoreError>;

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
    /// Syncs the log of the database at `path`.
    pub(super) fn start(path: &Path) -> Result<Self, OpenError> {
        let mut log = Log::beside(path);
        Self::with(move || log.sync())
    }

    fn with(sync: impl FnMut() -> Result<(), StoreError> + Send + 'static) -> Result<Self, OpenError> {
        let (queue, queued) = mpsc::channel();
        let (sender, synced) = watch::channel(Ok(0));
        let thread = thread::Builder::new()
            .name("sqlite-sync".to_owned())
            .spawn(move || keep_syncing(&queued, &sender, sync))
            .map_err(|error| OpenError::Unavailable(format!("no thread for the database: {error}")))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
            durable: Durable {
                asked: Arc::default(),
                synced,
            },
        })
    }

    pub(super) fn durable(&self) -> Durable {
        self.durable.clone()
    }

    /// COMMIT is asked for after this and not before: whoever reads what it adds finds its number taken.
    pub(super) fn ask(&self) -> Asked {
        Asked(self.durable.asked.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// The COMMIT has answered so. Tells everybody who waits for the group, after a sync where there is something to sync.
    pub(super) fn tell(&self, Asked(number): Asked, group: Arc<Group>, how: Result<(), StoreError>) {
        if let Some(queue) = &self.queue {
            // The thread ends with this value only.
            let _always_there = queue.send(Ended { number, group, how });
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

impl Durable {
    /// Waits until everything is durable that could be read by now.
    ///
    /// # Errors
    /// [`StoreError::Halt`]: it never will be.
    pub(super) async fn all_that_was_read(&self) -> Result<(), StoreError> {
        let asked = self.asked.load(Ordering::SeqCst);
        self.at_least(asked).await
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
    queued: &mpsc::Receiver<Ended>,
    synced: &watch::Sender<Synced>,
    mut sync: impl FnMut() -> Result<(), StoreError>,
) {
    while let Ok(first) = queued.recv() {
        let ended: Vec<Ended> = std::iter::once(first).chain(queued.try_iter()).collect();
        let mut state = synced.borrow().clone();
        if state.is_ok() && ended.iter().any(|ended| ended.how.is_ok()) {
            // What could not be synced is lost to every later sync as well: the system has forgotten that it was to be
            // written.
            state = sync().map(|()| 0);
        }
        let last = ended.last().map_or(0, |ended| ended.number);
        let _before = synced.send_replace(state.clone().map(|_| last));
        for Ended { group, how, .. } in ended {
            group.ended(&how.and_then(|()| state.clone().map(drop)));
        }
    }
}

/// The file of the write-ahead log. SQLite keeps it while a connection is open, and locks other files, so it may be opened
/// once more.
struct Log {
    path: PathBuf,
    file: Option<File>,
}

impl Log {
    fn beside(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Self {
            path: path.into(),
            file: None,
        }
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.try_to_sync().map_err(|error| {
            StoreError::Halt(format!(
                "the disk did not keep what was written to {}: {error}; nothing of it was published. Look at the system's log, \
                 mend or change the disk, then start again",
                self.path.display()
            ))
        })
    }

    fn try_to_sync(&mut self) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(File::open(&self.path)?),
        };
        file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::group::answer_of;

    fn commit(syncer: &Syncer, how: Result<(), StoreError>) -> impl Future<Output = Result<(), StoreError>> + use<> {
        let group = Arc::new(Group::default());
        let (durable, _) = group.whole().expect("whole");
        syncer.tell(syncer.ask(), group, how);
        answer_of(durable)
    }

    #[tokio::test]
    async fn nobody_hears_of_a_commit_before_its_sync() {
        let (go, wait) = mpsc::channel::<()>();
        let syncer =
            Syncer::with(move || wait.recv().map_err(|_| unreachable!("it is told to go on"))).expect("a thread");
        let mut told = std::pin::pin!(commit(&syncer, Ok(())));
        let durable = syncer.durable();
        let mut read = std::pin::pin!(durable.all_that_was_read());
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
    async fn what_is_read_before_a_commit_waits_for_nothing() {
        let syncer = Syncer::with(|| unreachable!("there is nothing to sync")).expect("a thread");
        assert_eq!(syncer.durable().all_that_was_read().await, Ok(()));
        let lost = Err(StoreError::Unknown("lost".to_owned()));
        assert_eq!(commit(&syncer, lost.clone()).await, lost);
        assert_eq!(syncer.durable().all_that_was_read().await, Ok(()));
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
            assert_eq!(syncer.durable().all_that_was_read().await, Err(halt.clone()));
        }
    }

    #[test]
    fn a_log_that_is_gone_is_named() {
        let mut log = Log::beside(Path::new("/nowhere/group.db"));
        let Err(StoreError::Halt(why)) = log.sync() else {
            panic!("there is none");
        };
        assert!(
            why.contains("/nowhere/group.db-wal") && why.contains("start again"),
            "{why}"
        );
    }
}
