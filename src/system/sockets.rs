//! TCP sockets of this machine and the processes that hold them (`/proc/net/tcp`, `/proc/PID/fd`, proc(5)).
//!
//! The kernel's own word on who listens and who is connected to whom. Empty where there is no `/proc`.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A TCP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket {
    /// This end.
    pub local: SocketAddr,
    /// The other end; port 0 for a listening one.
    pub remote: SocketAddr,
    /// It waits for connections.
    pub listening: bool,
    /// The kernel's number of it; 0 when no process holds it any more.
    pub inode: u64,
}

/// All TCP sockets, IPv4 and IPv6; IPv4-mapped addresses are shown as IPv4.
#[must_use]
pub fn list() -> Vec<Socket> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| table.lines().skip(1).filter_map(parse).collect::<Vec<_>>())
        .collect()
}

/// The numbers of the sockets that a process holds; empty when it is gone or not ours to look at.
#[must_use]
pub fn held_by(pid: u32) -> HashSet<u64> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return HashSet::new();
    };
    entries
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        .collect()
}

/// The kernel's number of the socket `local → remote`: 0 while it waits to be accepted, `None` when there is no such connection.
///
/// Reads one table where that is enough: on a machine with much memory each costs the kernel several milliseconds.
#[must_use]
pub fn connection(local: SocketAddr, remote: SocketAddr) -> Option<u64> {
    let tables: &[&str] = match local.ip() {
        // A dual-stack listener has its IPv4 connections in the other table.
        IpAddr::V4(_) => &["/proc/net/tcp", "/proc/net/tcp6"],
        IpAddr::V6(_) => &["/proc/net/tcp6"],
    };
    tables.iter().find_map(|path| {
        let table = fs::read_to_string(path).ok()?;
        let mut sockets = table.lines().skip(1).filter_map(parse);
        sockets
            .find(|socket| !socket.listening && socket.local == local && socket.remote == remote)
            .map(|socket| socket.inode)
    })
}

/// The process at the other end of a connection to us: the one that holds the socket `peer → local`.
///
/// `candidates` are looked at first (a cache of known exporters), then every process.
#[must_use]
pub fn process_of_peer(local: SocketAddr, peer: SocketAddr, candidates: &[u32]) -> Option<u32> {
    let (local, peer) = (plain(local), plain(peer));
    let inode = connection(peer, local).filter(|inode| *inode != 0)?;
    let everyone = || {
        fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
    };
    candidates
        .iter()
        .copied()
        .chain(everyone())
        .find(|pid| held_by(*pid).contains(&inode))
}

/// An address with IPv4-mapped IPv6 turned into IPv4.
#[must_use]
pub fn plain(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(ip) => ip
            .to_ipv4_mapped()
            .map_or(address, |ip| SocketAddr::new(IpAddr::V4(ip), address.port())),
        IpAddr::V4(_) => address,
    }
}

fn parse(line: &str) -> Option<Socket> {
    let mut fields = line.split_whitespace().skip(1);
    let local = address(fields.next()?)?;
    let remote = address(fields.next()?)?;
    let listening = fields.next()? == "0A";
    let inode = fields.nth(5)?.parse().ok()?;
    Some(Socket {
        local,
        remote,
        listening,
        inode,
    })
}

/// `0100007F:1F90`: the address in host byte order, word by word, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Vec<u32> = (0..ip.len())
        .step_by(8)
        .map(|at| u32::from_str_radix(ip.get(at..at + 8)?, 16).ok())
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let ip = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => return None,
    };
    Some(plain(SocketAddr::new(ip, port)))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_connection_leads_to_the_process_that_made_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, peer) = listener.accept().unwrap();
        assert_eq!(process_of_peer(server.local_addr().unwrap(), peer, &[]), Some(std::process::id()));
        assert!(
            list()
                .iter()
                .any(|socket| socket.listening && socket.local == listener.local_addr().unwrap())
        );
        drop(client);
    }
}
