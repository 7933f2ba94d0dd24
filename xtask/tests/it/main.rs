//! The tool as its users meet it: one program, asked from outside.

mod access;
mod architecture;
mod doctor;
mod events;
mod faults;
mod lab;
mod leaks;
mod lifecycle;
mod node;
mod placement;
mod reboot;
mod refusals;
mod report;
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
