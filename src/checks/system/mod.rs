//! The checks of the machine, as far as this process may use it: memory and processors.

mod cgroup;
mod cpu;
mod cpu_group;
mod memory;

pub use cpu::CpuCheck;
pub use memory::MemoryCheck;
