//! Connections: TLS, limits, and an orderly end.
