//! The programs of others that the tests talk to.

use clap::Args;

use crate::run::{Result, check, command, exists};

#[derive(Args)]
pub(crate) struct Options {
    /// Installs what is missing, with Debian's packages (needs root)
    #[arg(long)]
    install: bool,
}

/// One program that a test starts.
struct Peer {
    program: &'static str,
    /// The Debian package that has it; `None` where Debian has none.
    package: Option<&'static str>,
    why: &'static str,
}

const fn peer(program: &'static str, package: &'static str, why: &'static str) -> Peer {
    Peer {
        program,
        package: Some(package),
        why,
    }
}

const PEERS: &[Peer] = &[
    peer(
        "aarch64-linux-gnu-gcc",
        "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
        "the demo's second platform",
    ),
    peer("bsdtar", "libarchive-tools", "lists the entries of layers"),
    peer("containerd", "containerd", "imports images, gzip and zstd"),
    peer("crun", "crun", "runs containers for podman"),
    peer("ctr", "containerd", "drives containerd"),
    peer(
        "ctr-remote",
        "stargz-snapshotter",
        "reads the digest of an eStargz layer's table of contents",
    ),
    peer(
        "docker-registry",
        "docker-registry",
        "serves images to whoever pulls them lazily",
    ),
    peer("gcc", "gcc libc6-dev", "compiles the demo's program"),
    // Debian's is older than the one that our expectations were compared with.
    Peer {
        program: "go",
        package: None,
        why: "reads layers with archive/tar and klauspost's zstd, builds go-containerregistry's crane and registry (1.26 or later)",
    },
    peer(
        "java",
        "default-jdk-headless",
        "reads gzip layers with GZIPInputStream",
    ),
    peer(
        "podman",
        "podman",
        "loads docker archives and runs the demo",
    ),
    peer(
        "pip3",
        "python3-pip",
        "gets moto, whose S3 a docker-registry keeps blobs in",
    ),
    peer("python3", "python3", "reads layers with tarfile and zlib"),
    peer("runc", "runc", "runs containers for containerd"),
    peer("skopeo", "skopeo", "copies layouts and archives"),
    peer("tar", "tar", "lists the entries of layers"),
    peer("time", "time", "measures memory (--all)"),
    peer("umoci", "umoci", "unpacks layouts"),
    peer("zstd", "zstd", "decodes zstd layers"),
];

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.install {
        install()?;
    }
    for peer in PEERS {
        let state = if exists(peer.program) {
            "here   "
        } else {
            "missing"
        };
        println!("{state} {:<22} {}", peer.program, peer.why);
    }
    Ok(())
}

/// Returns the programs that are not here.
pub(crate) fn missing() -> Vec<&'static str> {
    PEERS
        .iter()
        .map(|peer| peer.program)
        .filter(|program| !exists(program))
        .collect()
}

/// Installs the Debian packages of all that is missing.
pub(crate) fn install() -> Result<()> {
    let packages: Vec<&str> = PEERS
        .iter()
        .filter(|peer| !exists(peer.program))
        .filter_map(|peer| peer.package)
        .flat_map(str::split_whitespace)
        .collect();
    if packages.is_empty() {
        Ok(())
    } else {
        install_packages(&packages.join(" "))
    }
}

/// Installs Debian packages, named with spaces between.
pub(crate) fn install_packages(packages: &str) -> Result<()> {
    if !exists("apt-get") {
        return Err(format!("apt-get is not here; install by hand: {packages}"));
    }
    let apt = |arguments: &[&str]| {
        check(command("apt-get", arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(packages.split_whitespace());
    apt(&arguments)
}
