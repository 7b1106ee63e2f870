//! As much of HTTP/1.1 as these tests need.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use imgcore::Digest;

fn digest(text: &str) -> String {
    Digest::sha256_of(text.as_bytes()).to_string()
}

pub(crate) struct Client(BufReader<TcpStream>);

pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(it, _)| it == name)
            .map(|(_, value)| &**value)
    }
}

impl Client {
    pub(crate) fn connect(address: &str) -> Self {
        Self(BufReader::new(TcpStream::connect(address).unwrap()))
    }

    pub(crate) fn get(&mut self, url: &str) -> Reply {
        self.call("GET", url, b"").unwrap()
    }

    pub(crate) fn post(&mut self, url: &str) -> Reply {
        self.call("POST", url, b"").unwrap()
    }

    /// Pushes an image of one layer.
    pub(crate) fn push_image(&mut self, repository: &str, tag: &str, layer: &str) {
        let pushed = self.try_push_image(repository, tag, layer);
        pushed.expect("because the registry runs");
    }

    /// Pushes an image of one layer, and returns its digest; `None` when the registry is gone.
    pub(crate) fn try_push_image(
        &mut self,
        repository: &str,
        tag: &str,
        layer: &str,
    ) -> Option<String> {
        for blob in ["{}", layer] {
            let digest = digest(blob);
            let url = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
            let reply = self.call("POST", &url, blob.as_bytes()).ok()?;
            assert_eq!(reply.status, 201, "{url}");
        }
        let descriptor = |media_type: &str, blob: &str| {
            serde_json::json!({
                "mediaType": media_type, "digest": digest(blob), "size": blob.len(),
            })
        };
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.empty.v1+json", "{}"),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
            "annotations": { "layer": layer },
        });
        let manifest = manifest.to_string();
        let url = format!("/v2/{repository}/manifests/{tag}");
        let reply = self.call("PUT", &url, manifest.as_bytes()).ok()?;
        assert_eq!(reply.status, 201, "{url}");
        Some(digest(&manifest))
    }

    fn call(&mut self, method: &str, url: &str, body: &[u8]) -> io::Result<Reply> {
        let head = format!(
            "{method} {url} HTTP/1.1\r\nHost: registry.test\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.0.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut reply = Reply {
            status,
            headers,
            body: Vec::new(),
        };
        let length: usize = reply
            .header("content-length")
            .unwrap_or("0")
            .parse()
            .unwrap();
        reply.body = vec![0; length];
        self.0.read_exact(&mut reply.body)?;
        Ok(reply)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}
