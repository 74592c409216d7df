//! Every test that shares the tiny model's description: the rules alone, and then a real OpenVINO under them.

mod check;
mod context;
mod graph;
mod paged;
mod properties;
mod support;
