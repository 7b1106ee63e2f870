//! Leases: while one lasts, what was written under it is not collected.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;

use super::client::Session;
use super::proto::leases::{CreateRequest, DeleteRequest};
use crate::Result;

/// When a lease ends by itself, should nobody end it: as with containerd's own clients.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// A lease that lasts until it is ended or dropped.
#[derive(Debug)]
pub(super) struct Lease {
    session: Session,
    /// `None` once it has been ended.
    id: Option<String>,
}

impl Lease {
    /// Takes a lease. What is written in the session that comes with it is held.
    pub(super) async fn take(session: &Session) -> Result<(Self, Session)> {
        let now = SystemTime::now();
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = new_id(now);
        let expiry = rfc3339((now + LIFE).as_secs());
        let request = CreateRequest {
            id: id.clone(),
            labels: HashMap::from([("containerd.io/gc.expire".to_owned(), expiry)]),
        };
        let mut client = session.leases();
        let request = session.request("Leases.Create", request);
        let created = client.create(request).await;
        created.map_err(|status| session.error("taking a lease", &status))?;
        let leased = session.with_lease(&id);
        let lease = Self {
            session: session.clone(),
            id: Some(id),
        };
        Ok((lease, leased))
    }

    /// Ends the lease. That it cannot be ended harms nothing: it ends by itself.
    ///
    /// `collect` waits until what it held is collected, which gives the space back.
    pub(super) async fn end(mut self, collect: bool) {
        if let Some(id) = self.id.take() {
            delete(&self.session, id, collect).await;
        }
    }
}

impl Drop for Lease {
    /// A load that is dropped ends its lease in the background.
    fn drop(&mut self) {
        if let (Some(id), Ok(runtime)) = (self.id.take(), Handle::try_current()) {
            let session = self.session.clone();
            runtime.spawn(async move { delete(&session, id, false).await });
        }
    }
}

async fn delete(session: &Session, id: String, sync: bool) {
    let request = session.request("Leases.Delete", DeleteRequest { id, sync });
    drop(session.leases().delete(request).await);
}

/// Makes a name that no other lease has.
fn new_id(now: Duration) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("img-{}-{}-{count}", std::process::id(), now.as_nanos())
}

/// Writes a time ([RFC 3339](https://www.rfc-editor.org/rfc/rfc3339)), from the seconds since 1970.
fn rfc3339(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Counted from the first of March of year 0, so that leap days are the last of their years; 400 years are an era.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_rfc_wants_them() {
        // From `date -u -d @… +%FT%TZ`.
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_796_045_696, "2026-11-30T13:34:56Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), expected);
        }
    }

    #[test]
    fn no_two_leases_have_one_name() {
        let now = Duration::from_secs(1);
        assert_ne!(new_id(now), new_id(now));
    }
}
