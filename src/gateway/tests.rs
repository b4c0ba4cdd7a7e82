//! Real sockets against the gateway.
