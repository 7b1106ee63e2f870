//! Names of registries that mean the same.

/// The name under which a registry is compared: lower case, and `docker.io` for Docker Hub's names.
pub(crate) fn canonical(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    if HUB.contains(&host.as_str()) {
        return HUB[0].to_owned();
    }
    host
}

/// The name that Docker's own tools keep Docker Hub's credential under.
pub(crate) const HUB_KEY: &str = "https://index.docker.io/v1/";

/// The names of Docker Hub, its canonical one first.
const HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// Whether this is the [canonical] name of Docker Hub.
pub(crate) fn is_hub(canonical: &str) -> bool {
    canonical == HUB[0]
}

/// All names of a host.
pub(crate) fn aliases(host: &str) -> Vec<&str> {
    if is_hub(&canonical(host)) {
        HUB.to_vec()
    } else {
        vec![host]
    }
}
