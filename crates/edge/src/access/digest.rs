//! Which lines are written one by one, and which are only counted.
//!
//! A log of bounded size forgets its oldest lines, so whoever can make it write fast can make it forget. Therefore each client has a
//! number of lines a minute, and all together have a rate; failures and other requests separately, so that a flood of one kind
//! leaves room for the other. What is over that is counted, and the counts are written once a minute.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::entry::Line;
use crate::addresses::Client;

/// How often counts are written.
const WINDOW: Duration = Duration::from_secs(60);

/// Clients that are counted one by one in a window. Further ones are counted together.
const MOST_CLIENTS: usize = 1024;

/// Counts of single clients that are written for a window and a kind: the largest.
const MOST_COUNTS: usize = 10;

/// How many lines of one kind are written.
#[derive(Debug, Clone, Copy)]
struct Budget {
    /// Of one client, a window.
    per_client: u32,
    /// Of all clients together, at once...
    burst: u32,
    /// ... and a second, in the long run. A line has some 250 bytes, so at most some 65 MB a day are written.
    per_second: u32,
}

const FAILURES: Budget = Budget { per_client: 50, burst: 2000, per_second: 1 };
const OTHERS: Budget = Budget { per_client: 200, burst: 2000, per_second: 2 };

/// What is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    /// One request.
    Request(Line),
    /// Requests that were only counted.
    More {
        /// Whose. None: of several clients.
        client: Option<IpAddr>,
        /// How many.
        count: u64,
        /// One of them. None: nothing is known of them.
        last: Option<Line>,
    },
}

/// Decides about one line after the other.
#[derive(Debug)]
pub(crate) struct Digest {
    window_began: Instant,
    failures: Kind,
    others: Kind,
    lost: u64,
}

impl Digest {
    pub(crate) fn new(now: Instant) -> Digest {
        Digest {
            window_began: now,
            failures: Kind::new(FAILURES, now),
            others: Kind::new(OTHERS, now),
            lost: 0,
        }
    }

    /// Adds lines, and what books had no room for. Returns what is to be written now.
    pub(crate) fn take(&mut self, lines: Vec<Line>, lost: u64, now: Instant) -> Vec<Said> {
        self.lost += lost;
        self.failures.fill(now);
        self.others.fill(now);
        let kinds = |digest: &mut Self, line: Line| {
            let kind = if line.failed() { &mut digest.failures } else { &mut digest.others };
            kind.take(line)
        };
        let mut said: Vec<Said> =
            lines.into_iter().filter_map(|line| kinds(self, line)).map(Said::Request).collect();
        if now.duration_since(self.window_began) >= WINDOW {
            said.extend(self.end_window(now));
        }
        said
    }

    /// What was only counted since the last time.
    pub(crate) fn end_window(&mut self, now: Instant) -> Vec<Said> {
        self.window_began = now;
        let mut said = self.failures.end_window();
        said.extend(self.others.end_window());
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            said.push(Said::More { client: None, count: lost, last: None });
        }
        said
    }
}

/// Failures, or the other requests.
#[derive(Debug)]
struct Kind {
    budget: Budget,
    /// Lines that may be written now.
    room: f64,
    filled: Instant,
    clients: HashMap<Client, Group>,
    /// Clients beyond [`MOST_CLIENTS`].
    rest: Option<Counted>,
}

/// One client in this window.
#[derive(Debug, Default)]
struct Group {
    written: u32,
    more: Option<Counted>,
}

/// Requests that were not written.
#[derive(Debug)]
struct Counted {
    count: u64,
    last: Line,
}

impl Kind {
    fn new(budget: Budget, now: Instant) -> Kind {
        Kind { budget, room: f64::from(budget.burst), filled: now, clients: HashMap::new(), rest: None }
    }

    /// Adds the lines that may be written more as time passes.
    fn fill(&mut self, now: Instant) {
        let passed = now.duration_since(self.filled).as_secs_f64() * f64::from(self.budget.per_second);
        self.room = (self.room + passed).min(f64::from(self.budget.burst));
        self.filled = now;
    }

    /// The line, if it is to be written.
    fn take(&mut self, line: Line) -> Option<Line> {
        let client = Client::of(line.client);
        let is_full = self.clients.len() >= MOST_CLIENTS;
        let group = match self.clients.entry(client) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if is_full => {
                count(&mut self.rest, line);
                return None;
            }
            Entry::Vacant(unknown) => unknown.insert(Group::default()),
        };
        if group.written < self.budget.per_client && self.room >= 1.0 {
            group.written += 1;
            self.room -= 1.0;
            return Some(line);
        }
        count(&mut group.more, line);
        None
    }

    fn end_window(&mut self) -> Vec<Said> {
        let mut counted: Vec<Counted> = self.clients.drain().filter_map(|(_, group)| group.more).collect();
        counted.sort_unstable_by_key(|one| std::cmp::Reverse(one.count));
        let rest = counted.split_off(counted.len().min(MOST_COUNTS)).into_iter().chain(self.rest.take());
        let rest = rest.reduce(|a, b| Counted { count: a.count + b.count, last: b.last });
        let of_one = |one: Counted| Said::More {
            client: Some(one.last.client),
            count: one.count,
            last: Some(one.last),
        };
        let of_several = |all: Counted| Said::More { client: None, count: all.count, last: Some(all.last) };
        counted.into_iter().map(of_one).chain(rest.map(of_several)).collect()
    }
}

fn count(counted: &mut Option<Counted>, line: Line) {
    *counted = Some(Counted { count: counted.as_ref().map_or(0, |before| before.count) + 1, last: line });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::path::Kept;
    use http::Method;

    fn line(client: u32, status: u16) -> Line {
        Line {
            ended: Instant::now(),
            client: IpAddr::from(client.to_be_bytes()),
            method: Some(Method::POST),
            path: Kept::of("/api/v4/users/login"),
            status,
            bytes: 10,
            ms: 1,
            complete: true,
        }
    }

    fn requests(said: &[Said]) -> usize {
        said.iter().filter(|said| matches!(said, Said::Request(_))).count()
    }

    fn counted(said: &[Said]) -> u64 {
        said.iter().map(|said| if let Said::More { count, .. } = said { *count } else { 0 }).sum()
    }

    #[test]
    fn a_flood_of_one_client_makes_a_few_lines_and_a_count() {
        let now = Instant::now();
        let mut digest = Digest::new(now);
        let flood = (0..48_000).map(|_| line(7, 401)).collect();
        let said = digest.take(flood, 0, now + Duration::from_secs(10));
        assert_eq!(said.len(), FAILURES.per_client as usize);
        // Another client's failure is written all the same, and so are requests that succeed.
        assert_eq!(requests(&digest.take(vec![line(8, 500), line(7, 200)], 0, now)), 2);
        let said = digest.take(Vec::new(), 0, now + WINDOW);
        let [Said::More { client: Some(client), count, last: Some(_) }] = &said[..] else {
            panic!("{said:?}")
        };
        assert_eq!((client.to_string().as_str(), *count), ("0.0.0.7", 48_000 - 50));
    }

    #[test]
    fn a_flood_of_many_clients_is_bounded_and_nothing_is_uncounted() {
        let begin = Instant::now();
        let mut digest = Digest::new(begin);
        let (mut written, mut all) = (0, 0);
        for second in 0..3600_u64 {
            let now = begin + Duration::from_secs(second);
            let lines: Vec<Line> = (0..50).map(|n| line(second as u32 * 50 + n, 401)).collect();
            let said = digest.take(lines, 3, now);
            written += said.len();
            all += requests(&said) as u64 + counted(&said);
        }
        all += counted(&digest.end_window(begin));
        assert_eq!(all, 3600 * 53, "every request is written or counted");
        // The burst, a line a second, and some counts a minute.
        assert!(written <= 2000 + 3600 + 60 * (MOST_COUNTS + 2), "{written}");
    }

    #[test]
    fn clients_beyond_the_table_are_counted_together() {
        let now = Instant::now();
        let mut digest = Digest::new(now);
        let lines = (0..3000).map(|n| line(n, 200)).collect();
        let said = digest.take(lines, 0, now);
        assert_eq!(said.len(), MOST_CLIENTS);
        let more = digest.end_window(now);
        assert!(matches!(&more[..], [Said::More { client: None, count: 1976, .. }]), "{more:?}");
    }
}
