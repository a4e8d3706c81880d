//! The started app, as the kernel shows it: its processes, what they listen on, which of them are workers.
//!
//! May leave no process behind: dropping it ends everything that it ever started, also what left its group.

use super::output::Tail;
use crate::domain::event::{Event, Observer};
use crate::error::Result;
use crate::system::process::{self, Identity};
use crate::system::{Invocation, Running, System, sockets};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// Variable that marks every process of one rehearsal, so that one which left the group is still found.
const MARK: &str = "SIGNOZ_SETUP_REHEARSAL";

/// How long a loop waits for the app's next line before it looks at the kernel's tables again.
pub(super) const LOOK: Duration = Duration::from_millis(10);

/// A listening socket of the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listening {
    /// Where to connect to: loopback for a wildcard address.
    pub(super) address: SocketAddr,
    /// The kernel's number of the socket.
    pub(super) inode: u64,
}

/// A started app.
pub(super) struct App<'a> {
    system: &'a System,
    observer: Observer<'a>,
    running: Running,
    mark: String,
    root: PathBuf,
    /// Every process that was seen to belong to it.
    seen: BTreeMap<u32, Identity>,
    /// What it printed.
    pub(super) tail: Tail,
}

impl<'a> App<'a> {
    /// Starts it in its own process group.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(super) fn start(system: &'a System, invocation: Invocation, observer: Observer<'a>) -> io::Result<Self> {
        let mark = format!("{:016x}", super::random());
        let running = system.commands.spawn(&invocation.env(MARK, &mark))?;
        let mut app = Self {
            system,
            observer,
            running,
            mark,
            root: system.root.clone(),
            seen: BTreeMap::new(),
            tail: Tail::default(),
        };
        app.processes();
        Ok(app)
    }

    /// Waits at most `wait` for the app to print something, and takes in all that it has printed.
    ///
    /// # Errors
    /// `Interrupted` when the run was cancelled.
    pub(super) fn look(&mut self, wait: Duration) -> Result<()> {
        self.system.cancel.check()?;
        let mut wait = wait;
        loop {
            match self.running.line(wait) {
                Ok(Some(line)) => {
                    if let Some(text) = self.tail.push(line.text()) {
                        (self.observer)(Event::Line { text: text.to_owned() });
                    }
                    wait = Duration::ZERO;
                }
                Ok(None) => break,
                // Both streams are closed, so nothing can wake us early.
                Err(_) => {
                    std::thread::park_timeout(wait);
                    break;
                }
            }
        }
        self.system.cancel.check()
    }

    /// The exit status of what was started, once it has ended.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.running.ended().ok().flatten()
    }

    /// Whether this machine shows its processes and sockets at all.
    pub(super) fn sees(&self) -> bool {
        self.seen.contains_key(&self.running.pid())
    }

    /// All living processes of the app: below what was started, in its group, or already known.
    pub(super) fn processes(&mut self) -> BTreeSet<u32> {
        let everyone = process::list(&self.root);
        let group = self.running.pid();
        let mut found: BTreeSet<u32> = process::tree(&everyone, group).into_iter().collect();
        for one in &everyone {
            if process::identity(&self.root, one.pid).is_some_and(|identity| identity.group == group) {
                found.insert(one.pid);
            }
        }
        for (pid, seen) in &self.seen {
            if process::identity(&self.root, *pid).is_some_and(|now| now.started == seen.started) {
                found.extend(process::tree(&everyone, *pid));
            }
        }
        found.retain(|pid| match process::identity(&self.root, *pid) {
            Some(identity) => {
                self.seen.entry(*pid).or_insert(identity);
                !identity.zombie
            }
            None => false,
        });
        found
    }

    /// Every listening TCP socket that one of the app's processes holds.
    pub(super) fn listening(&mut self) -> Vec<Listening> {
        let held: HashSet<u64> = self.processes().into_iter().flat_map(sockets::held_by).collect();
        sockets::list()
            .into_iter()
            .filter(|socket| socket.listening && held.contains(&socket.inode))
            .map(|socket| Listening {
                address: reachable(socket.local),
                inode: socket.inode,
            })
            .collect()
    }

    /// The processes that hold a listening socket and have no child that holds it: not an arbiter, a supervisor or a reloader.
    ///
    /// With `SO_REUSEPORT` each worker has a socket of its own at the same address, so the address decides.
    pub(super) fn workers(&mut self, address: SocketAddr) -> BTreeSet<u32> {
        let inodes: HashSet<u64> = sockets::list()
            .iter()
            .filter(|socket| socket.listening && reachable(socket.local) == address)
            .map(|socket| socket.inode)
            .collect();
        let holders: BTreeSet<u32> = self
            .processes()
            .into_iter()
            .filter(|pid| !sockets::held_by(*pid).is_disjoint(&inodes))
            .collect();
        let parents: BTreeSet<u32> = holders
            .iter()
            .filter_map(|pid| process::read(&self.root, *pid))
            .map(|holder| holder.parent)
            .collect();
        holders.difference(&parents).copied().collect()
    }

    /// The process that accepted the connection `client → server`; `None` when none has yet.
    pub(super) fn acceptor(&mut self, server: SocketAddr, client: SocketAddr, likely: &BTreeSet<u32>) -> Option<u32> {
        // The kernel gives a connection that waits to be accepted the number 0.
        let inode = sockets::connection(server, client).filter(|inode| *inode != 0)?;
        let holds = |pid: &u32| sockets::held_by(*pid).contains(&inode);
        likely
            .iter()
            .copied()
            .find(holds)
            .or_else(|| self.processes().into_iter().find(holds))
    }

    /// Sends SIGTERM to what was started only, as a service manager does with a server that has its own workers.
    pub(super) fn terminate(&self) {
        self.running.terminate();
    }

    /// Sends SIGTERM to the whole group.
    pub(super) fn terminate_group(&self) {
        self.running.terminate_group();
    }

    /// Waits until none of its processes is left; false when the time is up first.
    ///
    /// # Errors
    /// `Interrupted` when the run was cancelled.
    pub(super) fn gone(&mut self, limit: Duration) -> Result<bool> {
        let end = Instant::now() + limit;
        loop {
            self.look(LOOK)?;
            if self.ended().is_some() && self.processes().is_empty() {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Ok(false);
            }
        }
    }

    /// Ends everything at once, wherever it went.
    pub(super) fn kill(&mut self) {
        // Twice: a process may have been born between the snapshot and the signal.
        for _ in 0..2 {
            let mut left = self.processes();
            left.extend(self.marked());
            self.running.kill_group();
            for pid in left {
                if let Some(identity) = process::identity(&self.root, pid) {
                    process::kill(&self.root, pid, identity);
                }
            }
        }
    }

    /// Processes that carry this rehearsal's mark among the variables that they were started with.
    fn marked(&self) -> Vec<u32> {
        process::list(&self.root)
            .into_iter()
            .map(|process| process.pid)
            .filter(|pid| process::variables(&self.root, *pid).is_some_and(|variables| variables.get(MARK) == Some(&self.mark)))
            .collect()
    }
}

impl Drop for App<'_> {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a process ended, in words.
pub(super) fn said(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}

/// A wildcard address as one connects to it.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        std::net::IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
