//! OCPI 2.2.1: bytes to types and back. Owns the wire's shape; never a session, a party or a connection.

pub mod tariff;
