//! Small forms of what the protocol module is about to have.

pub(crate) mod redirect {
    use url::Url;

    use crate::protocol::url::{Origin, Scheme};

    /// What is done about a redirect.
    pub(crate) enum Decision {
        Follow { url: Url, strip_credentials: bool },
        Refuse(&'static str),
    }

    pub(crate) fn decide(from: &Url, location: &str, hop: u32) -> Decision {
        let Ok(url) = from.join(location) else {
            return Decision::Refuse("its location is no URL");
        };
        let (Some(old), Some(new)) = (Origin::of(from), Origin::of(&url)) else {
            return Decision::Refuse("its location is neither http nor https");
        };
        if hop > 5 {
            return Decision::Refuse("there are too many");
        }
        if old.scheme() == Scheme::Https && new.scheme() == Scheme::Http {
            return Decision::Refuse("it leads from https to http");
        }
        Decision::Follow {
            url,
            strip_credentials: old != new,
        }
    }
}

pub(crate) mod link {
    use url::Url;

    pub(crate) fn next(_url: &Url, _header: &str) -> Result<Option<Url>, String> {
        Ok(None)
    }
}

pub(crate) mod range {
    #[derive(Clone, Copy)]
    pub(crate) struct ContentRange {
        start: u64,
        total: Option<u64>,
    }

    impl ContentRange {
        pub(crate) fn parse(text: &str) -> Result<Self, ()> {
            let (range, total) = text
                .strip_prefix("bytes ")
                .and_then(|rest| rest.split_once('/'))
                .ok_or(())?;
            let (start, _) = range.split_once('-').ok_or(())?;
            Ok(Self {
                start: start.parse().map_err(|_| ())?,
                total: total.parse().ok(),
            })
        }

        pub(crate) fn start(self) -> u64 {
            self.start
        }

        pub(crate) fn total(self) -> Option<u64> {
            self.total
        }
    }
}
