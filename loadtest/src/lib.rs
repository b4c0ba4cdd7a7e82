//! A simulated charger fleet, a partner and its webhook sink, load scenarios and their verification.
