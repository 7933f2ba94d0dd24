//! The tool as its users meet it: one program, asked from outside.

mod architecture;
mod faults;
mod lab;
mod leaks;
mod lifecycle;
mod node;
mod placement;
mod reboot;
mod refusals;
mod rollback;
mod secrets;
mod stand_ins;
mod sudo;
mod support;
