//! The edge and Debian's nginx, with the same upstream and the same load, one after the other.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use xtask::run::{Failure, output};

use crate::{Spread, row};

/// How often each side is measured.
const TURNS: usize = 4;

pub(crate) fn run(relay: &Path) -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let [upstream, nginx, edge] = [free_port()?, free_port()?, free_port()?];
    let _upstream = start_nginx(
        dir.path(),
        "upstream",
        &format!(
            "server {{ listen 127.0.0.1:{upstream}; location / {{ return 200 '{}'; }} }}",
            "x".repeat(1024)
        ),
    )?;
    let proxy = format!(
        "upstream app {{ server 127.0.0.1:{upstream}; keepalive 64; }}\n\
         server {{ listen 127.0.0.1:{nginx}; location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ''; \
         proxy_set_header Host $http_host; proxy_set_header X-Real-IP $remote_addr; \
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme; }} }}"
    );
    let _nginx = start_nginx(dir.path(), "nginx", &proxy)?;
    let mut relay = Command::new(relay);
    relay.args([format!("127.0.0.1:{edge}"), format!("127.0.0.1:{upstream}")]).stdout(Stdio::null());
    let _edge = Running(relay.spawn()?);
    for port in [upstream, nginx, edge] {
        answers(port)?;
    }
    let mut figures = [(nginx, Vec::new(), Vec::new()), (edge, Vec::new(), Vec::new())];
    for _ in 0..TURNS {
        for (port, rates, tails) in &mut figures {
            let (rate, tail) = load(*port)?;
            rates.push(rate);
            tails.push(tail);
        }
    }
    let [(_, nginx_rates, nginx_tails), (_, edge_rates, edge_tails)] = figures;
    let (nginx_rate, edge_rate) = (Spread::of(nginx_rates), Spread::of(edge_rates));
    let (nginx_tail, edge_tail) = (Spread::of(nginx_tails), Spread::of(edge_tails));
    let rates = format!("{:>10.2}", edge_rate.median / nginx_rate.median);
    let tails = format!("{:>10.2}", edge_tail.median / nginx_tail.median);
    println!("\n{:<44} {:<34} aim", "64 connections, 1 kB answers", "median (least to most)");
    row("nginx, requests a second", &nginx_rate, "");
    row("edge, requests a second", &edge_rate, "");
    row("ratio edge : nginx", &rates, ">= 1");
    row("nginx, 99th percentile, ms", &nginx_tail, "");
    row("edge, 99th percentile, ms", &edge_tail, "");
    row("ratio edge : nginx", &tails, "<= 1");
    Ok(())
}

/// A process that is stopped when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // On SIGTERM nginx stops its workers; on SIGKILL it cannot.
        let told = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let deadline = Instant::now() + Duration::from_secs(5);
        while told.as_ref().is_ok_and(std::process::ExitStatus::success) && Instant::now() < deadline {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// nginx in the foreground, with two workers. It writes nothing outside the directory.
fn start_nginx(dir: &Path, name: &str, http: &str) -> Result<Running, Failure> {
    let own = dir.join(name);
    std::fs::create_dir_all(&own)?;
    let at = own.display();
    let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
        .concat();
    let text = format!(
        "daemon off; worker_processes 2; pid {at}/pid; error_log {at}/error.log;\n\
         events {{ worker_connections 4096; }}\nhttp {{ access_log off; keepalive_requests 1000000; {temp} {http} }}\n"
    );
    let file = own.join("nginx.conf");
    std::fs::File::create(&file)?.write_all(text.as_bytes())?;
    let nginx = if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
    Ok(Running(Command::new(nginx).arg("-c").arg(&file).stderr(Stdio::null()).spawn()?))
}

fn answers(port: u16) -> Result<(), Failure> {
    let deadline = Instant::now() + Duration::from_secs(5);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > deadline {
            return Err(Failure(format!("nothing listens on port {port}")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Requests a second, and the 99th percentile in ms.
fn load(port: u16) -> Result<(f64, f64), Failure> {
    let url = format!("http://127.0.0.1:{port}/");
    let said = output(Path::new("wrk"), &["-t2", "-c64", "-d4s", "--latency", &url])?;
    if said.contains("Non-2xx") || said.contains("Socket errors") {
        return Err(Failure(format!("some requests of the load failed:\n{said}")));
    }
    let value = |label: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(label));
        line.map(str::trim).ok_or_else(|| Failure(format!("the output of wrk has no `{label}`:\n{said}")))
    };
    let rate = value("Requests/sec:")?.parse().map_err(|error| Failure(format!("{error}")))?;
    Ok((rate, milliseconds(value("99%")?)?))
}

fn milliseconds(text: &str) -> Result<f64, Failure> {
    let units = [("us", 0.001), ("ms", 1.0), ("s", 1000.0)];
    let found =
        units.iter().find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor));
    found.ok_or_else(|| Failure(format!("`{text}` is not a time")))
}
