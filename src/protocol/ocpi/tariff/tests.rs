//! Tests of OCPI tariffs.
