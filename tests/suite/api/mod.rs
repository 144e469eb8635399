//! The v1 interface and the program around it, one file a theme.

mod account;
mod admin;
mod balance_readings;
mod batches;
mod command_line;
mod drain;
mod encodings;
mod hang_ups;
mod held_polls;
mod https;
mod idempotency;
mod in_php_codes;
mod logs;
mod methods;
mod multipart_bodies;
mod ownership;
mod pingback;
mod policy;
mod refusals;
mod reload;
mod sandbox;
mod status;
mod upload_faults;
mod upstream_faults;
mod usage;
mod usage_arguments;
