//! `img-registry serve`: a registry until it is told to end.

use std::error::Error;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use imgserve::distribution::{MissingContent, Registry, RegistryOptions};
use imgserve::http::{Server, ServerOptions};

use crate::cli::Serve;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long an upload may lie untouched.
const UPLOADS_LIVE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How often is looked for uploads that lie untouched.
const CLEANING: Duration = Duration::from_secs(60 * 60);

pub(crate) fn run(options: Serve) -> Result<()> {
    if !options.address.ip().is_loopback() && !options.expose {
        let text = format!(
            "{} can be reached from other machines, and the registry asks nobody who they are: --expose allows it",
            options.address
        );
        return Err(text.into());
    }
    dump_no_core();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve(options));
    // A hash of a large file that nobody waits for any more.
    runtime.shutdown_background();
    ended
}

/// Lets no crash write the memory to a file: it may have the TLS key, and what clients send.
fn dump_no_core() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};

        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        // Less is always allowed.
        let _ = setrlimit(Resource::Core, none);
    }
}

/// Prints an error and its causes on one line.
pub(crate) fn report(error: &(dyn Error + 'static)) {
    let mut line = format!("img-registry: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some errors already say what their cause is.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line.push('\n');
    // Nobody may be listening, and there is nobody else to tell.
    let _ = io::stderr().write_all(line.as_bytes());
}

async fn serve(options: Serve) -> Result<()> {
    // From here on a signal is heard, also before the first request.
    let end = signals()?;
    let mut server_options = ServerOptions::default();
    let mut scheme = "http";
    if let (Some(certificate), Some(key)) = (&options.tls_certificate, &options.tls_key) {
        let (certificate, key) = (fs_err::read(certificate)?, fs_err::read(key)?);
        server_options = server_options.with_certificate(&certificate, &key)?;
        scheme = "https";
    }
    let mut registry_options = RegistryOptions::default()
        .with_failures(report)
        .with_anonymous_mounts(options.anonymous_mounts);
    if options.accept_sparse {
        registry_options = registry_options.with_missing_content(MissingContent::Accept);
    }
    let registry = Registry::at_directory(&options.root)?.with_options(registry_options);
    let registry = Arc::new(registry);
    let server = Server::bind(
        options.address,
        Arc::clone(&registry) as Arc<_>,
        server_options,
    )
    .await?;
    let line = format!("listening on {scheme}://{}\n", server.local_address());
    io::stdout().write_all(line.as_bytes())?;
    io::stdout().flush()?;
    tokio::select! {
        ended = server.serve(end) => Ok(ended?),
        () = clean(&registry) => Ok(()),
    }
}

/// Removes stale uploads, now and then, without end.
async fn clean(registry: &Registry) {
    loop {
        if let Some(before) = SystemTime::now().checked_sub(UPLOADS_LIVE)
            && let Err(error) = registry.remove_stale_uploads(before)
        {
            report(&error);
        }
        tokio::time::sleep(CLEANING).await;
    }
}

/// Waits for a signal that tells the process to end.
#[cfg(unix)]
fn signals() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Waits for a signal that tells the process to end.
#[cfg(not(unix))]
fn signals() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Where the console cannot be listened to, it can only kill.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}
