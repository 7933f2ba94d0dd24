//! The tool as its users meet it: one program, asked from outside.

mod access;
mod architecture;
mod doctor;
mod faults;
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
mod screens;
mod secrets;
mod servers;
mod stand_ins;
mod status;
mod sudo;
mod support;
mod tokens;
mod upgrade;
