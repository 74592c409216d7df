//! Requests beside one that makes the guest trap: they go on where they were, and nothing is
//! delivered twice.

use std::fs;
use std::num::NonZeroU32;
use std::thread;

use anyhow::{Context, Result};
use carafe_e2e::{collect, greedy, hostile, load, root, runtime, start};
use carafe_host::image::ImageModel;
use carafe_host::text::{Request, TextModel, TextOptions};
use carafe_host::{Error, Limits, Sandbox};
use carafe_openvino::Profile;

/// What the context of `tales` has room for after a short prompt.
const MOST_TOKENS: u32 = 250;
const ABANDONED: u32 = 512;

#[test]
fn the_request_that_traps_alone_fails_alone() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let model = load("fixtures/models/tiny", Profile::Exact)?;
    let guest =
        TextModel::start_with(&sandbox, &hostile(&sandbox)?, &model, TextOptions::default(), Limits::default())?;
    // The worker takes what waits before each step, so that these meet in one guest.
    let names = ["honest", "crash", "load", "crash", "graphs"];
    let generations = names.map(|name| guest.submit_blocking(greedy(name, 16)));
    let results: Vec<_> = generations.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().map(collect).collect();
    for (name, (answers, failure)) in names.iter().zip(results) {
        assert_eq!(failure.is_some(), *name == "crash", "`{name}`: {failure:?}");
        let expected = match *name {
            "honest" => 1,
            "crash" => 0,
            "load" => 9,
            _ => 6,
        };
        assert_eq!(answers.len(), expected, "`{name}`: {answers:?}");
    }
    assert!(guest.stats().replaced() >= 2);
    Ok(())
}

#[test]
fn a_dropped_generation_frees_its_place() -> Result<()> {
    let model = start("models/tales", Profile::Fast)?;
    // All their tokens take far longer to generate than to drop, on a machine of any speed.
    let abandoned = thread::scope(|scope| {
        let submit = || model.submit_blocking(endless());
        let threads: Vec<_> = (0..ABANDONED).map(|_| scope.spawn(submit)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().ok().context("a panic")?.map_err(Into::into))
            .collect::<Result<Vec<_>>>()
    })?;
    drop(abandoned);
    let (texts, failure) = collect(model.submit_blocking(greedy("Once upon a time", 4))?);
    assert_eq!((texts.len(), failure), (4, None));
    let (generated, all) = (model.stats().counted.generated_tokens, u64::from(ABANDONED * MOST_TOKENS));
    assert!(generated < all / 2, "{generated} of {all} tokens of dropped requests were generated");
    Ok(())
}

fn endless() -> Request {
    Request { ignore_eos: true, ..greedy("Once upon a time", MOST_TOKENS) }
}

#[test]
fn an_image_that_traps_fails_alone_and_other_workers_go_on() -> Result<()> {
    let workers = NonZeroU32::new(2).context("two")?;
    let graph = load("models/mobilenet-v2", Profile::Fast)?.with_side_by_side(&runtime()?, NonZeroU32::MIN)?;
    // The file alone is more than the guest may have; the host passes it on, and the guest runs out
    // of memory.
    let limits = Limits { guest_memory: 16 << 20, ..Limits::default() };
    let model = ImageModel::start(&Sandbox::new()?, &graph, limits, workers)?;
    let (large, parrot) = (vec![0xff; 18 << 20], fs::read(root().join("images/parrot.jpg"))?);
    thread::scope(|scope| {
        for turn in 0..12 {
            let (model, large, parrot) = (&model, &large, &parrot);
            scope.spawn(move || {
                let traps = turn % 3 == 0;
                let result = model.classify_blocking(if traps { large.clone() } else { parrot.clone() }, 1);
                match result {
                    Err(Error::Trap(message)) if traps => assert!(message.contains("--guest-memory"), "{message}"),
                    Ok(shown) if !traps => assert_eq!(shown.labels[0].text, "macaw"),
                    other => panic!("image {turn} gave {other:?}"),
                }
            });
        }
    });
    let stats = model.stats();
    assert!((1 << 20..=32 << 20).contains(&stats.guest_memory), "{stats:?}");
    assert_eq!((stats.replaced, stats.running, stats.waiting), (4, 0, 0));
    Ok(())
}
