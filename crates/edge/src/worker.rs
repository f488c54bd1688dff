//! The threads that serve, each with a runtime and upstream connections of its own.
//!
//! A request, its client and its upstream connection stay on one thread, so no lock is contended and no other thread has
//! to be woken. Each new connection goes to the worker that has the fewest.

use std::io;
use std::net::TcpStream as StdTcpStream;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::addresses::Seat;
use crate::client;
use crate::counters::Counted;
use crate::shared::Shared;
use crate::transport::{ConnectionInfo, Transport};

/// Handle of one serving thread. When it is dropped, the thread takes no more connections, serves those it has, and ends.
#[derive(Debug)]
pub(crate) struct Worker {
    inbox: UnboundedSender<Arrival>,
    shared: Arc<Shared>,
    ended: oneshot::Receiver<()>,
    thread: JoinHandle<()>,
}

/// A connection on its way to a worker.
#[derive(Debug)]
struct Arrival {
    socket: StdTcpStream,
    info: ConnectionInfo,
    counted: Counted,
    seat: Option<Seat>,
    /// The worker's state. Its reference count is the worker's load, arrivals included.
    shared: Arc<Shared>,
}

impl Worker {
    pub(crate) fn start<T: Transport>(
        number: usize,
        transport: T,
        shared: Arc<Shared>,
    ) -> io::Result<Worker> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (inbox, arrivals) = unbounded_channel();
        let (ending, ended) = oneshot::channel();
        let serving = serve(arrivals, transport, shared.tasks.clone(), shared.limits.drain);
        let thread = thread::Builder::new().name(format!("edge-{number}")).spawn(move || {
            runtime.block_on(serving);
            // Fails if the edge was dropped instead of stopped: then nothing waits for the end.
            let _ = ending.send(());
        })?;
        Ok(Worker { inbox, shared, ended, thread })
    }

    /// How many connections and websockets it has.
    pub(crate) fn load(&self) -> usize {
        Arc::strong_count(&self.shared)
    }

    pub(crate) fn take(
        &self,
        socket: TcpStream,
        info: ConnectionInfo,
        counted: Counted,
        seat: Option<Seat>,
    ) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let arrival = Arrival { socket: socket.into_std()?, info, counted, seat, shared };
        // Fails only if the thread has panicked; the connection is then closed.
        let _ = self.inbox.send(arrival);
        Ok(())
    }

    /// Takes no more connections. The future is ready when all it has have ended, or were cut off after the drain time.
    pub(crate) fn end(self) -> impl Future<Output = ()> {
        let Worker { inbox, shared, ended, thread } = self;
        drop((inbox, shared));
        async {
            let _ = ended.await;
            if thread.join().is_err() {
                tracing::error!("an edge thread panicked");
            }
        }
    }
}

async fn serve<T: Transport>(
    mut arrivals: UnboundedReceiver<Arrival>,
    transport: T,
    tasks: TaskTracker,
    drain: Duration,
) {
    while let Some(Arrival { socket, info, counted, seat, shared }) = arrivals.recv().await {
        match TcpStream::from_std(socket) {
            Ok(socket) => {
                tasks.spawn(client::serve(transport.clone(), socket, info, counted, seat, shared));
            }
            Err(error) => tracing::warn!(%error, "a connection cannot be served"),
        }
    }
    tasks.close();
    if tokio::time::timeout(drain, tasks.wait()).await.is_err() {
        // They end when the runtime is dropped.
        tracing::warn!(
            open = tasks.len(),
            "the drain time is over: connections that are still open are cut off"
        );
    }
}
