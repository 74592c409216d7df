//! A running `carafe serve` on a port of its own, and `curl` to talk to it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::carafe;

/// How long anything that is waited for may take: a bound that only what hangs exceeds, on a
/// machine of any speed.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long to rest between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Flags of a server whose permits [`endless`] takes, all of them.
pub const BUSY: [&str; 6] = ["--model", "tales", "--queue", "1008", "--request-timeout", "3600"];

/// The tokens of [`endless`]: 63 x 16 sequences of 250.
pub const ENDLESS_TOKENS: u32 = 63 * 16 * 250;

/// Minutes of work in one request, which outlasts whatever a test does meanwhile.
#[must_use]
pub fn endless(stream: bool) -> Value {
    json!({
        "model": "tales", "prompt": vec!["Once upon a time"; 63], "max_tokens": 250, "n": 16,
        "ignore_eos": true, "stream": stream
    })
}

/// A request that runs, and whose answer is read as it comes. Dropping it closes the connection.
pub struct Running {
    connection: TcpStream,
    answer: Option<JoinHandle<String>>,
}

/// A server that is ready. Dropping it ends it.
pub struct Server {
    process: Child,
    url: String,
    log: Arc<Mutex<Vec<String>>>,
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers by their name in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

impl Server {
    /// Starts a server with these flags, its log in JSON, and waits until it is ready.
    ///
    /// # Errors
    /// If it does not start or become ready.
    pub fn start(flags: &[&str]) -> Result<Self> {
        let mut command = carafe(&[&["serve", "--port", "0", "--log", "json"], flags].concat())?;
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let log = Arc::default();
        keep_lines(process.stderr.take().context("standard error is piped")?, &log);
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("standard output is piped")?).read_line(&mut line)?;
        let url = line.trim().strip_prefix("listening on ").unwrap_or_default().to_owned();
        let server = Self { process, url, log };
        ensure!(server.url.starts_with("http://127.0.0.1:"), "carafe serve printed {line:?}: {:?}", server.log());
        wait("the server to be ready", || Ok(server.get("/readyz")?.status == 200))?;
        Ok(server)
    }

    /// Its address, as `http://127.0.0.1:3000`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The lines of its log so far.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The log's line of the request with this id, as soon as it is there.
    ///
    /// # Errors
    /// If it does not come.
    pub fn log_of(&self, request_id: &str) -> Result<Value> {
        let find = || {
            let lines = self.log();
            let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.map(|line| line["fields"].clone()).find(|fields| fields["request_id"] == request_id)
        };
        wait("the request's line in the log", || Ok(find().is_some()))?;
        find().context("the line was there")
    }

    /// Asks for a path.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn get(&self, path: &str) -> Result<Answer> {
        self.curl::<&str>(path, &[])
    }

    /// Sends a JSON body.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        let body = body.to_string();
        self.curl(path, &["-H", "Content-Type: application/json", "--data-raw", &body])
    }

    /// Sends a JSON body with an API key.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn post_as(&self, key: &str, path: &str, body: &Value) -> Result<Answer> {
        let (key, body) = (format!("Authorization: Bearer {key}"), body.to_string());
        self.curl(path, &["-H", &key, "-H", "Content-Type: application/json", "--data-raw", &body])
    }

    /// Runs `curl` with these options.
    ///
    /// # Errors
    /// If it fails, as it does when nobody answers.
    pub fn curl<S: AsRef<OsStr>>(&self, path: &str, options: &[S]) -> Result<Answer> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--include", "-H", "Expect:"]).args(options);
        curl.args(["--max-time", &PATIENCE.as_secs().to_string()]);
        let output = curl.arg(format!("{}{path}", self.url)).output().context("failed to start `curl`")?;
        ensure!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr));
        Answer::parse(&String::from_utf8_lossy(&output.stdout))
    }

    /// A connection on which a streamed request of so many tokens and sequences runs; some of its
    /// answer is there already.
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn stream(&self, body: &Value) -> Result<TcpStream> {
        begun(self.send("/v1/completions", body)?).map(|(connection, _)| connection)
    }

    /// Like [`Server::stream`], with an API key; the beginning of the answer comes with it.
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn stream_as(&self, key: &str, body: &Value) -> Result<(TcpStream, String)> {
        begun(self.send_with("/v1/completions", body, &format!("Authorization: Bearer {key}\r\n"))?)
    }

    /// A connection on which a request was sent, and nothing was read.
    ///
    /// # Errors
    /// If the server cannot be reached.
    pub fn send(&self, path: &str, body: &Value) -> Result<TcpStream> {
        self.send_with(path, body, "")
    }

    /// `headers` are whole lines.
    fn send_with(&self, path: &str, body: &Value, headers: &str) -> Result<TcpStream> {
        let address = self.url.trim_start_matches("http://");
        let mut connection = TcpStream::connect(address)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        let (body, kind) = (body.to_string(), "Content-Type: application/json");
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: {address}\r\n{headers}{kind}\r\nContent-Length: {length}\r\n\r\n");
        std::io::Write::write_all(&mut connection, format!("{head}{body}").as_bytes())?;
        Ok(connection)
    }

    /// Sends a request to `tales` and waits until it runs.
    ///
    /// # Errors
    /// If the server cannot be reached, or does not begin.
    pub fn run(&self, body: &Value) -> Result<Running> {
        self.run_with(body, "")
    }

    /// Like [`Server::run`], with an API key.
    ///
    /// # Errors
    /// Those of [`Server::run`].
    pub fn run_as(&self, key: &str, body: &Value) -> Result<Running> {
        self.run_with(body, &format!("Authorization: Bearer {key}\r\n"))
    }

    fn run_with(&self, body: &Value, headers: &str) -> Result<Running> {
        let before = self.figure("carafe_generation_tokens_total{model=\"tales\"}")?;
        let connection = self.send_with("/v1/completions", body, headers)?;
        let mut reader = connection.try_clone()?;
        let answer = thread::spawn(move || {
            let mut answer = Vec::new();
            // A connection that is closed early has what came until then.
            let _ = reader.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        });
        let begun = || Ok(self.figure("carafe_generation_tokens_total{model=\"tales\"}")? > before);
        wait("the request to run", begun)?;
        Ok(Running { connection, answer: Some(answer) })
    }

    /// A figure of `/metrics`, by its name and labels as they are printed there.
    ///
    /// # Errors
    /// If it is not there.
    pub fn figure(&self, name: &str) -> Result<f64> {
        let metrics = self.get("/metrics")?.body;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.with_context(|| format!("no `{name}` in {metrics}"))?.parse()?)
    }

    /// The most memory that its process has had, in bytes.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn peak_memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        Ok(peak.context("the kernel says how much memory a process has had")?.parse::<u64>()? << 10)
    }

    /// Tells the server to stop.
    ///
    /// # Errors
    /// If the signal cannot be sent.
    pub fn terminate(&self) -> Result<()> {
        self.signal("-TERM")
    }

    /// Holds the server up for so long, as a machine does that is busy with something else.
    ///
    /// # Errors
    /// If the signals cannot be sent.
    pub fn suspend(&self, time: Duration) -> Result<()> {
        self.signal("-STOP")?;
        thread::sleep(time);
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let sent = Command::new("kill").args([signal, &self.process.id().to_string()]).status()?;
        ensure!(sent.success(), "the server is gone already");
        Ok(())
    }

    /// How it ended, once it has been told to.
    ///
    /// # Errors
    /// If it does not end.
    pub fn ended(&mut self) -> Result<ExitStatus> {
        wait("the server to end", || Ok(self.process.try_wait()?.is_some()))?;
        Ok(self.process.wait()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Running {
    /// What is answered, head and all, until the server closes the connection.
    ///
    /// # Errors
    /// If reading it fails.
    pub fn finish(mut self) -> Result<String> {
        let answer = self.answer.take().context("an answer is taken once")?;
        answer.join().ok().context("the reader panicked")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The server may have closed it already.
        let _ = self.connection.shutdown(Shutdown::Both);
    }
}

impl Answer {
    fn parse(text: &str) -> Result<Self> {
        let (head, body) = text.split_once("\r\n\r\n").context("an answer has a head")?;
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("an answer has a status")?.parse()?;
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Ok(Self { status, headers, body: body.to_owned() })
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// If it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("no JSON: {}", self.body))
    }

    /// The chunks of a stream that ended as it should.
    ///
    /// # Errors
    /// If one is no JSON, or the end is missing.
    pub fn chunks(&self) -> Result<Vec<Value>> {
        let mut data: Vec<&str> = self.body.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        ensure!(data.pop() == Some("[DONE]"), "the stream does not end: {}", self.body);
        data.into_iter().map(|chunk| Ok(serde_json::from_str(chunk)?)).collect()
    }
}

/// Waits until something holds, but not for ever.
///
/// # Errors
/// If it does not come to hold, and those of looking.
pub fn wait(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !holds()? {
        if started.elapsed() > PATIENCE {
            bail!("waited in vain for {what}");
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// A connection with the beginning of its answer, `HTTP/1.1` and the status among it.
fn begun(mut connection: TcpStream) -> Result<(TcpStream, String)> {
    let mut first = [0; 16];
    connection.read_exact(&mut first)?;
    Ok((connection, String::from_utf8_lossy(&first).into_owned()))
}

fn keep_lines(source: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = lines.clone();
    thread::spawn(move || {
        for line in BufReader::new(source).lines().map_while(Result::ok) {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
}
