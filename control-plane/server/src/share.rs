//! Counts how much of a common bound each client address holds, so that no address takes all of it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who an address counts for: an IPv4 address for itself, an IPv6 one for its /64, of which a host has all.
pub(crate) fn holder(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        ip @ IpAddr::V4(_) => ip,
    }
}

/// Counts what each address holds; cheap to clone, every clone counts the same. It has no more entries than shares were
/// taken, and those are bounded by the common bound.
#[derive(Debug, Clone)]
pub(crate) struct Shares {
    each: usize,
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Shares {
    /// At most `each` for one address.
    pub(crate) fn new(each: usize) -> Self {
        Self { each, held: Arc::default() }
    }

    /// How many `address` holds now.
    pub(crate) fn held(&self, address: IpAddr) -> usize {
        self.lock().get(&holder(address)).copied().unwrap_or(0)
    }

    /// One more for `address`, until it is dropped; `None` when it has as many as it may.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Share> {
        let holder = holder(address);
        let mut all = self.lock();
        let held = all.get(&holder).copied().unwrap_or(0);
        if held >= self.each {
            return None;
        }
        all.insert(holder, held + 1);
        drop(all);
        Some(Share { of: self.clone(), holder })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one address holds of a common bound; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    of: Shares,
    holder: IpAddr,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.of.lock();
        match all.get_mut(&self.holder) {
            Some(held) if *held > 1 => *held -= 1,
            _ => drop(all.remove(&self.holder)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_has_its_share_and_others_have_theirs() {
        let shares = Shares::new(2);
        let (one, two) = (shares.take(ip("10.0.0.1")), shares.take(ip("::ffff:10.0.0.1")));
        assert!(one.is_some() && two.is_some() && shares.take(ip("10.0.0.1")).is_none());
        let other = shares.take(ip("10.0.0.2"));
        assert!(other.is_some());
        drop(one);
        assert_eq!((shares.held(ip("10.0.0.1")), shares.held(ip("10.0.0.2"))), (1, 1));
        assert!(shares.take(ip("10.0.0.1")).is_some());
        drop((two, other));
        assert!(shares.lock().is_empty(), "nobody holds anything, nothing is kept");
    }

    #[test]
    fn an_ipv6_host_cannot_multiply_its_share_by_its_addresses() {
        let shares = Shares::new(1);
        let _held = shares.take(ip("2001:db8:0:1::1"));
        assert!(shares.take(ip("2001:db8:0:1:ffff::2")).is_none());
        assert!(shares.take(ip("2001:db8:0:2::1")).is_some());
    }
}
