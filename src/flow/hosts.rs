//! IPv6 addresses by number: an entry has no room for thirty-two bytes of them.
//!
//! It must never know what a host is good for. IPv4 addresses are their own numbers and do not come here.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::model::addr::Addr;

/// The IPv6 addresses of the flows of one table, each once. An address leaves with its last flow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts {
    all: Vec<Host>,
    numbers: HashMap<Addr, u32, RandomState>,
    free: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Host {
    addr: Addr,
    flows: u32,
}

impl Hosts {
    /// What one address takes, bytes, the spare room of its index included.
    pub(crate) const BYTES: usize = size_of::<Host>() + 2 * (size_of::<(Addr, u32)>() + 1);

    /// The number of an address that one more flow has.
    pub(crate) fn hold(&mut self, addr: Addr) -> u32 {
        if let Some(&number) = self.numbers.get(&addr) {
            if let Some(host) = self.all.get_mut(number as usize) {
                host.flows += 1;
            }
            return number;
        }
        let host = Host { addr, flows: 1 };
        let number = self.free.pop().unwrap_or_else(|| {
            self.all.push(host);
            u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = self.all.get_mut(number as usize) {
            *place = host;
        }
        self.numbers.insert(addr, number);
        number
    }

    /// One flow less has it.
    pub(crate) fn release(&mut self, number: u32) {
        let Some(host) = self.all.get_mut(number as usize) else { return };
        host.flows = host.flows.saturating_sub(1);
        if host.flows == 0 {
            self.numbers.remove(&host.addr);
            self.free.push(number);
        }
    }

    /// The address of a number that [`Hosts::hold`] gave.
    #[inline]
    pub(crate) fn addr(&self, number: u32) -> Addr {
        self.all.get(number as usize).map_or(Addr::v4([0; 4]), |host| host.addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_number_until_its_last_flow_leaves() {
        let [one, two] = [1, 2].map(|last| Addr::v6([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]));
        let mut hosts = Hosts::default();
        let number = hosts.hold(one);
        assert_eq!(hosts.hold(one), number);
        assert_ne!(hosts.hold(two), number);
        hosts.release(number);
        assert_eq!((hosts.addr(number), hosts.hold(one)), (one, number));
        hosts.release(number);
        hosts.release(number);
        let third = Addr::v6([0xfe; 16]);
        assert_eq!((hosts.hold(third), hosts.addr(number), hosts.all.len()), (number, third, 2));
        assert_ne!(hosts.hold(one), number);
    }
}
