//! Tenants that share a server: each has an API key and a number of requests at work at any time,
//! the next one sent as soon as one is answered, until the time is over.
//!
//! A server that has no room (429) is asked again when it says; the request waits since it was
//! first sent, as its client does. What runs at the end is answered to its end, so that requests
//! that wait long are not missing.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};

use crate::completion::{Answer, Body, Client, PATIENCE, Server, Times};
use crate::words::Words;

/// One tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tenant {
    pub(crate) key: String,
    pub(crate) concurrent: usize,
}

impl FromStr for Tenant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Keys may hold the sign themselves.
        let (key, concurrent) = text.rsplit_once('=').unwrap_or_default();
        match concurrent.parse() {
            Ok(concurrent) if concurrent > 0 && !key.is_empty() => Ok(Self { key: key.to_owned(), concurrent }),
            _ => Err("expected a key and a number above 0, like `0123456789abcdef=4`".to_owned()),
        }
    }
}

/// What all tenants send.
pub(crate) struct Load<'a> {
    pub(crate) server: Server<'a>,
    pub(crate) words: &'a Words,
    pub(crate) prompt_tokens: u64,
    pub(crate) new_tokens: u64,
    pub(crate) seed: u64,
}

/// What a client, or all of a tenant, have got.
#[derive(Default)]
struct Tally {
    answered: Vec<Times>,
    /// How often there was no room.
    refused: u64,
}

/// Sends until `is_over`; what each tenant got, in the order in which they are given.
pub(crate) fn run(load: &Load<'_>, tenants: &[Tenant], is_over: impl Fn(Instant) -> bool + Sync) -> Result<Value> {
    let began = Instant::now();
    let (number, is_over) = (&AtomicU64::new(0), &|| is_over(began));
    let tallies = thread::scope(|scope| {
        let client = |tenant| scope.spawn(move || load.send_until(is_over, tenant, number, began));
        let clients: Vec<Vec<_>> =
            tenants.iter().map(|tenant| (0..tenant.concurrent).map(|_| client(tenant)).collect()).collect();
        clients.into_iter().map(join).collect::<Result<Vec<_>>>()
    })?;
    let tenants: Vec<Value> =
        tenants.iter().zip(&tallies).map(|(tenant, tally)| tally.to_json(tenant.concurrent)).collect();
    Ok(json!({ "tenants": tenants, "wall_seconds": began.elapsed().as_secs_f64() }))
}

/// The tally of all clients of a tenant.
fn join(clients: Vec<thread::ScopedJoinHandle<'_, Result<Tally>>>) -> Result<Tally> {
    let mut all = Tally::default();
    for client in clients {
        let tally = client.join().map_err(|_| anyhow!("a client's thread panicked"))??;
        all.answered.extend(tally.answered);
        all.refused += tally.refused;
    }
    Ok(all)
}

impl Load<'_> {
    /// One client: it sends its next request when its last one is answered.
    fn send_until(
        &self,
        is_over: impl Fn() -> bool,
        tenant: &Tenant,
        number: &AtomicU64,
        began: Instant,
    ) -> Result<Tally> {
        let (client, mut tally) = (Client::new(&self.server, Some(&tenant.key)), Tally::default());
        while !is_over() {
            // Every prompt is another one, so that no cache helps.
            let seed = self.seed.wrapping_add(number.fetch_add(1, Ordering::Relaxed));
            let body = self.server.body(&self.words.prompt(self.prompt_tokens, seed), self.new_tokens);
            tally.send(&client, &body, began)?;
        }
        Ok(tally)
    }
}

impl Tally {
    /// Sends a request until there is room for it.
    fn send(&mut self, client: &Client, body: &Body, began: Instant) -> Result<()> {
        let (first_sent, last) = (began.elapsed().as_secs_f64(), Instant::now() + PATIENCE);
        while Instant::now() < last {
            match client.send(body, began)? {
                Answer::Tokens(times) => {
                    self.answered.push(Times { sent: first_sent, ..times });
                    return Ok(());
                }
                Answer::NoRoom(wait) => {
                    self.refused += 1;
                    thread::sleep(wait);
                }
            }
        }
        bail!("the server had no room for a request within {} s", PATIENCE.as_secs())
    }

    fn to_json(&self, concurrent: usize) -> Value {
        let requests: Vec<Value> = self.answered.iter().map(Times::to_json).collect();
        json!({ "concurrent": concurrent, "refused": self.refused, "requests": requests })
    }
}

#[cfg(test)]
mod tests;
