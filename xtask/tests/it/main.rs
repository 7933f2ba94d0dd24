//! The tool as its users meet it: one program, asked from outside.

mod architecture;
mod faults;
mod lab;
mod leaks;
mod lifecycle;
mod placement;
mod reboot;
mod refusals;
mod rollback;
mod secrets;
mod servers;
mod stand_ins;
mod sudo;
mod support;
mod upgrade;
