//! The load generator against a small server that answers what a test wants.

use super::*;
use crate::testing::{NO_KEY, NO_ROOM, PAUSE, serve};

const CHUNK: &str = r#"data: {"choices":[{"text":" a","finish_reason":null}]}"#;
const LAST: &str = r#"data: {"choices":[{"text":" b","finish_reason":"length"}]}"#;

/// Has a server answer one request with these lines.
fn ask(lines: &[&str], wanted: u64) -> Result<Times> {
    let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
    let (url, _received) = serve(move |_| lines.clone());
    let server = Server { url: &url, model: "m", text: false };
    Client::new(&server, None).complete(&server.body(&[], wanted), Instant::now())
}

#[test]
fn each_token_has_the_time_at_which_it_came() {
    let times = ask(&[CHUNK, CHUNK, LAST, "data: [DONE]"], 3).expect("three tokens");
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
    let times = ask(&[CHUNK, CHUNK, LAST, usage, "data: [DONE]"], 4).expect("four tokens");
    assert_eq!(times.tokens.len(), 4);
    assert_eq!(times.tokens[2].to_bits(), times.tokens[3].to_bits());
}

#[test]
fn an_answer_that_breaks_off_or_fails_is_no_measurement() {
    let broken = ask(&[CHUNK], 3).err().expect("an error").to_string();
    assert!(broken.contains("ended before its time"), "{broken}");
    let failed = ask(&[r#"data: {"error":{"message":"too much"}}"#], 3).err().expect("an error").to_string();
    assert!(failed.contains("too much"), "{failed}");
    let usage = r#"data: {"choices":[],"usage":{"completion_tokens":2}}"#;
    let short = ask(&[CHUNK, LAST, usage], 3).err().expect("an error").to_string();
    assert!(short.contains("2 tokens instead of 3"), "{short}");
}

#[test]
fn what_the_server_had_in_its_cache_is_reported_if_it_says_so() {
    let said = r#"data: {"choices":[],"usage":{"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":96}}}"#;
    assert_eq!(ask(&[LAST, said], 1).expect("a token").to_json()["cached_tokens"], 96);
    for unsaid in [r#"{"completion_tokens":1}"#, r#"{"completion_tokens":1,"prompt_tokens_details":null}"#] {
        let unsaid = format!(r#"data: {{"choices":[],"usage":{unsaid}}}"#);
        assert_eq!(ask(&[LAST, &unsaid], 1).expect("a token").to_json().get("cached_tokens"), None);
    }
}

#[test]
fn a_server_without_room_says_how_long_to_wait_and_any_other_refusal_is_a_failure() {
    let server = |head: &'static str| serve(move |_| vec![head.to_owned()]).0;
    let send = |url: &str| {
        let server = Server { url, model: "m", text: false };
        Client::new(&server, None).send(&server.body(&[], 1), Instant::now())
    };
    assert!(matches!(send(&server(NO_ROOM)).expect("an answer"), Answer::NoRoom(Duration::ZERO)));
    assert!(send(&server(NO_KEY)).err().expect("an error").to_string().contains("401"));
}
