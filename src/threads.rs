//! Threads for work in parallel, as many as the system allows.

use std::io;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// A pool of `threads` threads; if the system will not start that many, of half as many, and so on.
///
/// # Errors
///
/// The system's error, if it will not start even one.
pub(crate) fn pool(threads: usize) -> io::Result<ThreadPool> {
    let pool = |threads| ThreadPoolBuilder::new().num_threads(threads).build();
    fewer(threads, pool).map_err(io::Error::other)
}

/// The first of `threads`, half of them, ... with which `start` succeeds.
fn fewer<T, E>(threads: usize, start: impl Fn(usize) -> Result<T, E>) -> Result<T, E> {
    let mut threads = threads.max(1);
    loop {
        match start(threads) {
            Err(_) if threads > 1 => threads /= 2,
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_threads_are_started_where_the_system_allows_no_more() {
        let most = |limit: usize| move |n: usize| if n <= limit { Ok(n) } else { Err(n) };
        assert_eq!(fewer(64, most(100)), Ok(64));
        assert_eq!(fewer(64, most(5)), Ok(4));
        assert_eq!(fewer(7, most(1)), Ok(1));
        assert_eq!(fewer(64, most(0)), Err(1));
        assert_eq!(pool(3).unwrap().current_num_threads(), 3);
    }
}
