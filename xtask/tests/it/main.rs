//! The tool as its users meet it: one program, asked from outside.

mod access;
mod architecture;
mod completions;
mod doctor;
mod faults;
mod habits;
mod lab;
mod leaks;
mod lifecycle;
mod node;
mod placement;
mod reboot;
mod refusals;
mod rollback;
mod rotation;
mod runbook;
mod secrets;
mod servers;
mod stand_ins;
mod status;
mod sudo;
mod support;
mod tokens;
mod upgrade;
