//! HTTP: partners, operators, health. Owns HTTP meaning, authentication of callers and the error catalogue; never a
//! rule of charging.
pub mod catalogue;
pub mod port;
