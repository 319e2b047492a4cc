//! Where sockets cannot be handed on, processes have nothing in common.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

pub enum Shared {}

pub use Shared as ListeningShared;

impl Shared {
    pub fn try_clone(&self) -> io::Result<Self> {
        match *self {}
    }

    pub fn descriptors(&self) -> [RawFd; 2] {
        match *self {}
    }

    pub fn listen(self) -> io::Result<Self> {
        match self {}
    }

    pub fn sockets(&self) -> [BorrowedFd<'_>; 2] {
        match *self {}
    }

    pub fn ring(&self) {
        match *self {}
    }

    pub async fn rung(&self) {
        match *self {}
    }
}
