//! The load generator against a small server that answers what a test wants.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::*;

const CHUNK: &str = r#"data: {"choices":[{"text":" a","finish_reason":null}]}"#;
const LAST: &str = r#"data: {"choices":[{"text":" b","finish_reason":"length"}]}"#;

/// Between two lines of an answer.
const PAUSE: Duration = Duration::from_millis(20);

/// A server that answers so many requests with these lines, one by one, a moment between them.
fn serve(requests: usize, lines: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming().take(requests).flatten() {
            thread::spawn(move || answer(stream, lines));
        }
    });
    url
}

fn answer(mut stream: TcpStream, lines: &[&str]) {
    read_request(&stream);
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        .expect("a head");
    for line in lines {
        stream.write_all(format!("{line}\n\n").as_bytes()).expect("a chunk");
        thread::sleep(PAUSE);
    }
}

fn read_request(stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line).expect("a line") > 2 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        line.clear();
    }
    reader.read_exact(&mut vec![0; length]).expect("a body");
}

fn ask(url: &str, wanted: usize) -> Result<Times> {
    let agent = ureq::Agent::new_with_defaults();
    complete(&agent, &format!("{url}/v1/completions"), "{}", Instant::now(), wanted)
}

#[test]
fn each_token_has_the_time_at_which_it_came() {
    let url = serve(1, &[CHUNK, CHUNK, LAST, "data: [DONE]"]);
    let times = ask(&url, 3).expect("three tokens");
    assert_eq!(times.tokens.len(), 3);
    // How long a chunk is on its way is the machine's business; none is there before it was sent,
    // and each has a time of its own.
    let sent = |number: usize| (PAUSE * u32::try_from(number).expect("a few")).as_secs_f64();
    assert!(times.tokens.iter().enumerate().all(|(number, came)| *came >= sent(number)), "{:?}", times.tokens);
    assert!(times.tokens.is_sorted_by(|earlier, later| earlier < later), "{:?}", times.tokens);
}

#[test]
fn a_token_without_text_of_its_own_counts_at_the_end() {
    let usage = r#"data: {"choices":[],"usage":{"completion_tokens":4}}"#;
    let lines: &'static [&'static str] = Box::leak(Box::new([CHUNK, CHUNK, LAST, usage, "data: [DONE]"]));
    let times = ask(&serve(1, lines), 4).expect("four tokens");
    assert_eq!(times.tokens.len(), 4);
    assert_eq!(times.tokens[2].to_bits(), times.tokens[3].to_bits());
}

#[test]
fn an_answer_that_breaks_off_or_fails_is_no_measurement() {
    let broken = ask(&serve(1, &[CHUNK]), 3).err().expect("an error").to_string();
    assert!(broken.contains("ended before its time"), "{broken}");
    let failed = ask(&serve(1, &[r#"data: {"error":{"message":"too much"}}"#]), 3).err().expect("an error").to_string();
    assert!(failed.contains("too much"), "{failed}");
    let usage = r#"data: {"choices":[],"usage":{"completion_tokens":2}}"#;
    let lines: &'static [&'static str] = Box::leak(Box::new([CHUNK, LAST, usage]));
    let short = ask(&serve(1, lines), 3).err().expect("an error").to_string();
    assert!(short.contains("2 tokens instead of 3"), "{short}");
}
