//! The rules alone, and then a real OpenVINO under them; all of it over the tiny model.

mod check;
mod corpus;
mod decoder;
mod graph;
mod rules;
mod support;
