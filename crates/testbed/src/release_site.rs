//! A site with releases that answers as it is told: well, or as a broken or hostile one does.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How a request is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// As it should be: parts, an ETag, the whole content.
    Well,
    /// So many bytes of the body, then the connection is closed.
    CutOff(usize),
    /// So many bytes of the body, then nothing.
    Stall(usize),
    /// The body is said to be so many bytes longer than it is.
    SaysLonger(usize),
    /// The body is said to be so many bytes shorter than it is, and is.
    SaysShorter(usize),
    /// A length beyond all measure, and the connection is closed.
    SaysHuge,
    /// A body that does not end.
    Endless,
    /// One byte is another one.
    Corrupt,
    /// It is elsewhere.
    Redirect(String),
    /// This status, and nothing else.
    Status(u16),
    /// The whole content, whatever part was asked for.
    Whole,
    /// Another part than the one that was asked for.
    OtherPart,
    /// A page for people.
    Page,
}

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Without scheme and host.
    pub path: String,
    /// All of the first line.
    pub line: String,
    /// The header `Range`, if any.
    pub range: Option<String>,
    /// The header `If-Range`, if any.
    pub if_range: Option<String>,
}

#[derive(Default)]
struct Content {
    bytes: Arc<Vec<u8>>,
    version: u32,
    answers: VecDeque<Answer>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Content>,
    requests: Vec<Request>,
    without_validators: bool,
}

/// A running site, which ends when this is dropped.
pub struct ReleaseSite {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    over: Arc<AtomicBool>,
}

impl Default for ReleaseSite {
    fn default() -> Self {
        Self::start()
    }
}

impl ReleaseSite {
    /// Starts one on loopback, without files.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (state, over) = (Arc::new(Mutex::new(State::default())), Arc::new(AtomicBool::new(false)));
        let (of_thread, is_over) = (Arc::clone(&state), Arc::clone(&over));
        thread::spawn(move || {
            for connection in listener.incoming() {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let (Ok(connection), state, over) =
                    (connection, Arc::clone(&of_thread), Arc::clone(&is_over))
                else {
                    continue;
                };
                // A client that goes away in the middle is what some tests are about.
                thread::spawn(move || drop(serve(connection, &state, &over)));
            }
        });
        Self { address, state, over }
    }

    /// Its address, with a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Puts a file there, or another one in its place. `path` begins with a slash.
    pub fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        let mut state = self.state.lock().unwrap();
        let file = state.files.entry(path.to_owned()).or_default();
        file.bytes = Arc::new(bytes.into());
        file.version += 1;
    }

    /// How the next requests for a file are answered, one after the other; later ones are answered well.
    pub fn answer(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        self.state.lock().unwrap().files.entry(path.to_owned()).or_default().answers.extend(answers);
    }

    /// Says neither an ETag nor a date from now on.
    pub fn without_validators(&self) {
        self.state.lock().unwrap().without_validators = true;
    }

    /// What was asked, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }
}

impl Drop for ReleaseSite {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut connection: TcpStream, state: &Mutex<State>, over: &AtomicBool) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?.take(64 * 1024));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let (mut range, mut if_range) = (None, None);
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        match header.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("range") => {
                range = Some(value.trim().to_owned());
            }
            Some((name, value)) if name.eq_ignore_ascii_case("if-range") => {
                if_range = Some(value.trim().to_owned());
            }
            _ => {}
        }
    }
    let target = line.split(' ').nth(1).unwrap_or_default();
    // A proxy is asked for a whole URL.
    let path = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    let request = Request { path: path.to_owned(), line: line.trim().to_owned(), range, if_range };
    let (answer, bytes, validator) = {
        let mut state = state.lock().unwrap();
        state.requests.push(request.clone());
        let silent = state.without_validators;
        match state.files.get_mut(path) {
            None => (Answer::Status(404), Arc::default(), None),
            Some(file) => {
                let answer = file.answers.pop_front().unwrap_or(Answer::Well);
                let validator = (!silent).then(|| format!("\"version-{}\"", file.version));
                (answer, Arc::clone(&file.bytes), validator)
            }
        }
    };
    respond(&mut connection, &request, &answer, &bytes, validator.as_deref(), over)
}

fn respond(
    to: &mut TcpStream,
    request: &Request,
    answer: &Answer,
    bytes: &[u8],
    validator: Option<&str>,
    over: &AtomicBool,
) -> std::io::Result<()> {
    let wanted = request
        .range
        .as_deref()
        .and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse::<usize>().ok());
    let same = request.if_range.is_none() || request.if_range.as_deref() == validator;
    let start = match answer {
        Answer::Whole => 0,
        Answer::OtherPart => wanted.map_or(0, |start| start.saturating_sub(7)),
        _ => wanted.filter(|_| same).unwrap_or(0),
    };
    match answer {
        Answer::Redirect(url) => {
            return write!(
                to,
                "HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        Answer::Status(status) => {
            return write!(to, "HTTP/1.1 {status} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        Answer::Page => {
            let page = "<html>Sign in</html>";
            return write!(
                to,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
                page.len()
            );
        }
        Answer::Endless => {
            write!(to, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")?;
            let chunk = [&b"10000\r\n"[..], &vec![b'x'; 0x10000], b"\r\n"].concat();
            while !over.load(Ordering::Relaxed) {
                to.write_all(&chunk)?;
            }
            return Ok(());
        }
        _ => {}
    }
    if start > 0 && start >= bytes.len() {
        return write!(
            to,
            "HTTP/1.1 416 No\r\nContent-Range: bytes */{}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            bytes.len()
        );
    }
    let mut body = bytes[start..].to_vec();
    let mut length = body.len();
    match answer {
        Answer::CutOff(count) | Answer::Stall(count) => body.truncate(*count),
        Answer::SaysLonger(more) => length += more,
        Answer::SaysShorter(less) => {
            length = length.saturating_sub(*less);
            body.truncate(length);
        }
        Answer::SaysHuge => {
            length = usize::MAX >> 8;
            body.clear();
        }
        Answer::Corrupt => {
            let middle = body.len() / 2;
            body[middle] ^= 1;
        }
        _ => {}
    }
    let mut head = match (answer, start) {
        (Answer::OtherPart, _) | (_, 1..) => format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{}/{}\r\n",
            bytes.len() - 1,
            bytes.len()
        ),
        _ => "HTTP/1.1 200 OK\r\n".to_owned(),
    };
    if let Some(validator) = validator {
        let _ = write!(head, "ETag: {validator}\r\n");
    }
    write!(to, "{head}Accept-Ranges: bytes\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    to.write_all(&body)?;
    while matches!(answer, Answer::Stall(_)) && !over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(20));
        // Until the client has had enough.
        to.set_nonblocking(true)?;
        match to.read(&mut [0; 16]) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            _ => break,
        }
    }
    Ok(())
}
