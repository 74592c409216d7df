//! Requests beside one that makes the guest trap: they go on where they were, and nothing is delivered twice.

use anyhow::Result;
use carafe_e2e::{collect, greedy, hostile, load};
use carafe_host::text::TextModel;
use carafe_host::{Limits, Sandbox};
use carafe_openvino::Profile;

#[test]
fn the_request_that_traps_alone_fails_alone() -> Result<()> {
    let sandbox = Sandbox::new()?;
    let model = load("fixtures/models/tiny", Profile::Exact)?;
    let guest = TextModel::start_with(&sandbox, &hostile(&sandbox)?, &model, Limits::default())?;
    // The worker takes what waits before each step, so that these meet in one guest.
    let names = ["honest", "crash", "beam-idx-later", "crash", "graphs"];
    let generations = names.map(|name| guest.submit_blocking(greedy(name, 16)));
    let results: Vec<_> = generations.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().map(collect).collect();
    for (name, (answers, failure)) in names.iter().zip(results) {
        assert_eq!(failure.is_some(), *name == "crash", "`{name}`: {failure:?}");
        let expected = match *name {
            "honest" => 1,
            "crash" => 0,
            _ => 6,
        };
        assert_eq!(answers.len(), expected, "`{name}`: {answers:?}");
    }
    assert!(guest.stats().replaced >= 2);
    Ok(())
}

#[test]
fn a_dropped_generation_frees_its_place() -> Result<()> {
    let model = TextModel::start(&Sandbox::new()?, &load("models/tales", Profile::Fast)?, Limits::default())?;
    let mut abandoned = model.submit_blocking(greedy("Once upon a time", 250))?;
    abandoned.next_blocking();
    drop(abandoned);
    let (texts, failure) = collect(model.submit_blocking(greedy("Once upon a time", 4))?);
    assert_eq!((texts.len(), failure), (4, None));
    // Some tokens of the first request and four of the second, but not the 250 that were asked for.
    assert!(model.stats().steps < 250, "{} steps", model.stats().steps);
    Ok(())
}
