//! Servers with scripted answers, for failures that a real server cannot be made to have.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What a mail server does next.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Say(&'static str),
    /// Waits for a line and repeats it after these words.
    Repeat(&'static str),
    /// Waits for a line.
    Hear,
    /// Waits forever.
    Wait,
}

/// Runs the steps on the first connection, then closes it. Returns the port.
pub(crate) async fn play(steps: &'static [Step]) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = [0; 4096];
        for step in steps {
            match step {
                Step::Say(words) => stream.write_all(words.as_bytes()).await.unwrap(),
                Step::Hear => assert_ne!(stream.read(&mut heard).await.unwrap(), 0),
                Step::Repeat(words) => {
                    let length = stream.read(&mut heard).await.unwrap();
                    stream.write_all(words.as_bytes()).await.unwrap();
                    stream.write_all(&heard[..length]).await.unwrap();
                }
                Step::Wait => std::future::pending().await,
            }
        }
    });
    port
}

/// Serves `app` until the test's runtime ends.
pub(crate) async fn serve(app: axum::Router) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

/// A port on which nothing listens.
pub(crate) async fn closed() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port()
}
