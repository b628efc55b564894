//! The house holds its own rules: reads the tree as text and finds what breaks them. A rule that could not fail would
//! prove nothing, so beside each stands a small tree that breaks it.

mod house {
    mod dashboards;
    mod floors;
    mod lua;
    mod mutants;
    mod names;
    mod promql;
    mod service;
    mod settings;
    mod transactions;
    mod tree;
    mod verified;
}
