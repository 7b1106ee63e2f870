//! `img build`: an image from one small file (`docs/build-file.md`).

pub(crate) mod file;
pub(crate) mod resolve;

/// Returns what the system said, without the name of the call.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::InvalidData => "it is no UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}
