//! A server of S3 (s3s-fs) that keeps objects as files and checks signatures, for the keys `test` and `test`; and what it does wrong on
//! demand.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backup_s3::{Bucket, Place};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use s3s::access::S3Access;
use s3s::auth::SimpleAuth;
use s3s::dto::ListObjectsV2Input;
use s3s::service::S3ServiceBuilder;
use s3s::{Body, S3Request, S3Result};

pub(crate) const BUCKET: &str = "backups";

/// What the server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Answers with a status and a code.
    Says(u16, &'static str),
    /// Cuts the connection before it has answered.
    Cuts,
    /// Takes an object, and keeps half of it.
    KeepsHalf,
    /// Takes an object, and keeps nothing.
    Forgets,
    /// Takes an object, then cuts the connection.
    CutsAfter,
}

/// An empty delimiter is none, as it is to S3: restic lists packs with one. s3s-fs takes it for one that is in every name, and lists no object.
struct Delimiters;

impl S3Access for Delimiters {
    // What `async fn` is in this trait.
    fn list_objects_v2<'life0, 'life1, 'async_trait>(
        &'life0 self,
        request: &'life1 mut S3Request<ListObjectsV2Input>,
    ) -> Pin<Box<dyn Future<Output = S3Result<()>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        let delimiter = &mut request.input.delimiter;
        *delimiter = delimiter.take().filter(|delimiter| !delimiter.is_empty());
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What goes wrong, with how many calls, and with which.
type Next = (Wrong, usize, Option<Method>);

/// It ends with the test.
pub(crate) struct Server {
    runtime: Option<tokio::runtime::Runtime>,
    dir: tempfile::TempDir,
    port: u16,
    wrong: Arc<Mutex<Option<Next>>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(dir.path()).unwrap());
        service.set_auth(SimpleAuth::from_single("test", "test"));
        service.set_access(Delimiters);
        let service = service.build();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let wrong = Arc::new(Mutex::new(None));
        let (planned, root) = (Arc::clone(&wrong), dir.path().to_owned());
        // S3 looks at a condition and writes in one act. s3s-fs looks, then writes, so one write waits for the other.
        let writes = Arc::new(tokio::sync::Mutex::new(()));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (service, planned, root) = (service.clone(), Arc::clone(&planned), root.clone());
                let writes = Arc::clone(&writes);
                tokio::spawn(async move {
                    let answer = service_fn(move |request: Request<Incoming>| {
                        let (service, wrong) = (service.clone(), take(&planned, request.method()));
                        let file = root.join(request.uri().path().trim_start_matches('/'));
                        let writes = Arc::clone(&writes);
                        async move {
                            match wrong {
                                Some(Wrong::Says(status, code)) => return Ok(said(status, code)),
                                Some(Wrong::Cuts) => return Err(std::io::Error::other("cut")),
                                _ => {}
                            }
                            let _alone = match request.method() == Method::PUT {
                                true => Some(writes.lock().await),
                                false => None,
                            };
                            let answer = Service::call(&service, request)
                                .await
                                .map_err(|_| std::io::Error::other("failed"))?;
                            match wrong {
                                Some(Wrong::KeepsHalf) => halve(&file),
                                Some(Wrong::Forgets) => std::fs::remove_file(&file).unwrap(),
                                Some(Wrong::CutsAfter) => return Err(std::io::Error::other("cut")),
                                _ => {}
                            }
                            Ok(answer)
                        }
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Self { runtime: Some(runtime), dir, port, wrong }
    }

    /// From now on the next `times` calls of `method`, or of any, go wrong.
    pub(crate) fn goes(&self, wrong: Wrong, times: usize, method: Option<Method>) {
        *self.wrong.lock().unwrap() = Some((wrong, times, method));
    }

    pub(crate) fn works(&self) {
        *self.wrong.lock().unwrap() = None;
    }

    pub(crate) fn file(&self, key: &str) -> PathBuf {
        self.dir.path().join(BUCKET).join(key)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The place `chat/one` in the bucket, with a file of credentials.
    pub(crate) fn place(&self, secret: &str) -> Place {
        Place {
            bucket: BUCKET.to_owned(),
            prefix: "chat/one".to_owned(),
            endpoint: Some(self.endpoint()),
            region: Some("eu-central-1".to_owned()),
            path_style: true,
            credentials: Some(credentials(self.dir.path(), "test", secret)),
            patience: Duration::from_secs(2),
        }
    }

    pub(crate) fn bucket(&self) -> Bucket {
        Bucket::new(self.place("test")).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A file of credentials that nobody else may read.
pub(crate) fn credentials(dir: &Path, key: &str, secret: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = dir.join(format!("credentials-{secret}"));
    let text = format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn take(planned: &Mutex<Option<Next>>, called: &Method) -> Option<Wrong> {
    let mut planned = planned.lock().unwrap();
    let (wrong, times, method) = planned.as_mut()?;
    if *times == 0 || method.as_ref().is_some_and(|method| method != called) {
        return None;
    }
    *times -= 1;
    Some(*wrong)
}

fn halve(file: &Path) {
    let half = std::fs::metadata(file).unwrap().len() / 2;
    std::fs::OpenOptions::new().write(true).open(file).unwrap().set_len(half).unwrap();
}

fn said(status: u16, code: &str) -> Response<Body> {
    let message = match code {
        "AuthorizationHeaderMalformed" => "the region 'eu-central-1' is wrong; expecting 'eu-west-1'",
        _ => "so it is",
    };
    let text =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    Response::builder().status(status).body(Body::from(text)).unwrap()
}
