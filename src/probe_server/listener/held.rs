//! Opens an address with the sockets that a process binds for its children, where there are any: between the end of one
//! worker and the start of the next they keep the address, and probes wait in the kernel's queue.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::open::{OpenListener, open_inheritable};
use crate::probe_server::address::ProbeAddress;

// Not behind `PerProcess`: children are meant to inherit it.
static HELD: ArcSwapOption<Vec<Arc<OpenListener>>> = ArcSwapOption::const_empty();

/// Binds an address until this process and all children that it forks from now on have ended. None of them answers there
/// unless it serves. Returns the address with the port that the kernel chose where none was given.
pub fn hold(address: &ProbeAddress, application: &str) -> io::Result<ProbeAddress> {
    if let Some(held) = find(address) {
        return held.address();
    }
    let Some(opened) = open_inheritable(address, application)? else {
        return Err(io::ErrorKind::AddrInUse.into());
    };
    let opened = Arc::new(opened);
    HELD.rcu(|held| {
        let mut held = held.as_deref().cloned().unwrap_or_default();
        held.push(opened.clone());
        Some(Arc::new(held))
    });
    opened.address()
}

/// Listens on an address for an application; none while another container does, in which case the caller tries again.
/// Blocks for some seconds at most.
pub fn open(address: &ProbeAddress, application: &str) -> io::Result<Option<OpenListener>> {
    let opened = match find(address) {
        Some(held) => open_held(&held, application)?,
        None => open_inheritable(address, application)?,
    };
    Ok(opened.map(OpenListener::not_inherited))
}

fn open_held(held: &OpenListener, application: &str) -> io::Result<Option<OpenListener>> {
    let copy = held.try_clone()?;
    let opened = if copy.is_reached() { Ok(copy) } else { copy.rebound() };
    match opened {
        // Another process listens in place of the file that was removed, and hands its socket over.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => open_inheritable(&held.address, application),
        // The process that bound it need not know which application will serve it.
        opened => Ok(Some(OpenListener { application: application.to_owned(), ..opened? })),
    }
}

/// The sockets that this process, or one that it was forked from, holds for that address.
fn find(address: &ProbeAddress) -> Option<Arc<OpenListener>> {
    HELD.load().as_ref()?.iter().find(|held| held.address == *address).cloned()
}
