//! A small server that answers what a test wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// Between two lines of an answer.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// The head of a refusal, in the place of an answer's lines.
pub(crate) const NO_ROOM: &str = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 0\r\ncontent-length: 0";
/// The same for a key that is not known.
pub(crate) const NO_KEY: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0";

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream";

/// What a server has received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) authorization: Option<String>,
    pub(crate) body: Value,
}

/// Answers every request with the lines that a function makes of it, one by one, a moment between
/// them; the server's address, and what it receives.
pub(crate) fn serve(
    lines_of: impl Fn(&Received) -> Vec<String> + Send + Sync + 'static,
) -> (String, Receiver<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (sender, receiver) = channel();
    let lines_of = Arc::new(lines_of);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (sender, lines_of) = (sender.clone(), lines_of.clone());
            thread::spawn(move || {
                let received = receive(&stream);
                let lines = lines_of(&received);
                // A test may have read all that it wants.
                let _ = sender.send(received);
                answer(stream, &lines);
            });
        }
    });
    (url, receiver)
}

fn answer(mut stream: TcpStream, lines: &[String]) {
    let (head, lines) = match lines {
        [head] if head.starts_with("HTTP/") => (head.as_str(), &[][..]),
        lines => (STREAM, lines),
    };
    stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).expect("a head");
    for line in lines {
        stream.write_all(format!("{line}\n\n").as_bytes()).expect("a chunk");
        thread::sleep(PAUSE);
    }
}

fn receive(stream: &TcpStream) -> Received {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length, mut authorization) = (String::new(), 0, None);
    while reader.read_line(&mut line).expect("a line") > 2 {
        let (name, value) = line.split_once(':').unwrap_or_default();
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse().expect("a length"),
            "authorization" => authorization = Some(value.trim().to_owned()),
            _ => {}
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    Received { authorization, body: serde_json::from_slice(&body).expect("JSON") }
}
