//! The threads that serve, each with a runtime and upstream connections of its own.
//!
//! A request, its client and its upstream connection never leave one thread, so nothing is locked or woken across
//! threads on the way. Connections are dealt out as they arrive, the next to the worker with the fewest.

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

use crate::Shared;
use crate::client;
use crate::counters::Held;
use crate::transport::{ConnectionInfo, Transport};

/// Handle of one serving thread. Dropping it lets the thread finish what it has and end.
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
    seat: Held,
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
            // Nobody waits when the edge was dropped instead of stopped.
            let _ = ending.send(());
        })?;
        Ok(Worker { inbox, shared, ended, thread })
    }

    /// Connections and websockets it has.
    pub(crate) fn load(&self) -> usize {
        Arc::strong_count(&self.shared)
    }

    pub(crate) fn take(&self, socket: TcpStream, info: ConnectionInfo, seat: Held) -> io::Result<()> {
        let arrival = Arrival { socket: socket.into_std()?, info, seat, shared: Arc::clone(&self.shared) };
        // A worker ends only after its handle; a connection sent to a dead one is closed.
        let _ = self.inbox.send(arrival);
        Ok(())
    }

    /// Takes nothing more. The future waits until everything it took has ended, or was cut after the drain time.
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
    while let Some(Arrival { socket, info, seat, shared }) = arrivals.recv().await {
        match TcpStream::from_std(socket) {
            Ok(socket) => {
                tasks.spawn(client::serve(transport.clone(), socket, info, seat, shared));
            }
            Err(error) => tracing::warn!(%error, "cannot serve a connection"),
        }
    }
    tasks.close();
    if tokio::time::timeout(drain, tasks.wait()).await.is_err() {
        // They end with the runtime.
        tracing::warn!(left = tasks.len(), "drain time is over, cutting what is open");
    }
}
