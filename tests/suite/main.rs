//! capgate as its users meet it: over real sockets, in front of a simulated or a scripted upstream.

mod api;
mod support;
