//! Names of registries that mean the same.

/// The name under which a registry is compared: lower case, and `docker.io` for Docker Hub's names.
pub(crate) fn canonical(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    match host.as_str() {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        _ => host,
    }
}
