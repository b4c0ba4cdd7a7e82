//! OCPP sockets. Owns accept, admission, handshake, authentication, frame limits, reader and writer; never what a
//! message means.
