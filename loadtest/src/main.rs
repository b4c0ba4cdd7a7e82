//! The command line of the load test.

fn main() {}
