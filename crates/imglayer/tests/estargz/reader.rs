//! A reader of eStargz: from the footer to the TOC, and from the TOC to each chunk by itself.

use std::io::Read;

use flate2::read::GzDecoder;
use imgcore::Digest;
use serde_json::Value;

/// What a blob says of itself.
pub(crate) struct Toc {
    /// Where the member with the TOC begins.
    pub(crate) offset: u64,
    /// Of the JSON.
    pub(crate) digest: Digest,
    pub(crate) entries: Vec<Value>,
}

impl Toc {
    /// Opens a blob by its last 51 bytes.
    pub(crate) fn open(blob: &[u8]) -> Self {
        let (rest, footer) = blob.split_at(blob.len() - 51);
        let mut decoder = GzDecoder::new(footer);
        assert_eq!(decoder.read_to_end(&mut Vec::new()).unwrap(), 0);
        let extra = decoder.header().unwrap().extra().unwrap();
        let (id, field) = extra.split_at(4);
        assert_eq!(id, b"SG\x16\0");
        let (offset, magic) = std::str::from_utf8(field).unwrap().split_at(16);
        assert_eq!(magic, "STARGZ");
        let offset = u64::from_str_radix(offset, 16).unwrap();

        let mut decoder = GzDecoder::new(&rest[usize::try_from(offset).unwrap()..]);
        let mut tar = Vec::new();
        decoder.read_to_end(&mut tar).unwrap();
        let after = decoder.into_inner();
        assert_eq!(after, b"", "the TOC is one member, and the last one");
        assert!(tar.ends_with(&[0; 1024]));
        let mut archive = tar::Archive::new(&tar[..]);
        let mut entries = archive.entries().unwrap();
        let mut entry = entries.next().unwrap().unwrap();
        assert_eq!(&*entry.path_bytes(), b"stargz.index.json");
        let mut json = Vec::new();
        entry.read_to_end(&mut json).unwrap();
        assert!(entries.next().is_none());
        assert_eq!(json.last(), Some(&b'}'), "nothing follows the document");

        let mut document: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(document["version"], 1);
        let Value::Array(entries) = document["entries"].take() else {
            panic!("the TOC has no entries");
        };
        Self {
            offset,
            digest: Digest::sha256_of(&json),
            entries,
        }
    }

    /// The entries of the layer, without those that are only further chunks.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Value> {
        self.entries.iter().filter(|entry| entry["type"] != "chunk")
    }

    /// The names of the entries, in their order.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.files()
            .map(|entry| entry["name"].as_str().unwrap())
            .collect()
    }

    /// Reads the content of a regular file chunk by chunk, each from its member alone, and checks every digest.
    pub(crate) fn read(&self, blob: &[u8], name: &str) -> Vec<u8> {
        let is_file = |entry: &&Value| entry["type"] == "reg" && entry["name"] == name;
        let entry = self.entries.iter().find(is_file).unwrap();
        let size = number(entry, "size");
        let mut content = Vec::new();
        if size > 0 {
            let chunks = self.entries.iter().filter(|entry| {
                entry["name"] == name && (entry["type"] == "reg" || entry["type"] == "chunk")
            });
            for chunk in chunks {
                assert_eq!(number(chunk, "chunkOffset"), content.len() as u64);
                let length = match number(chunk, "chunkSize") {
                    0 => size - content.len() as u64,
                    length => length,
                };
                let bytes = self.read_chunk(blob, chunk, length);
                assert_eq!(
                    Digest::sha256_of(&bytes).to_string(),
                    chunk["chunkDigest"].as_str().unwrap(),
                    "{name}"
                );
                content.extend(bytes);
            }
        }
        assert_eq!(content.len() as u64, size, "{name}");
        let digest = Digest::sha256_of(&content).to_string();
        assert_eq!(entry["digest"], digest, "{name}");
        content
    }

    fn read_chunk(&self, blob: &[u8], chunk: &Value, length: u64) -> Vec<u8> {
        let offset = number(chunk, "offset");
        assert!(offset > 0 && offset < self.offset, "{chunk}");
        let member = &blob[usize::try_from(offset).unwrap()..];
        let mut decoder = GzDecoder::new(member);
        let inner = number(chunk, "innerOffset");
        std::io::copy(&mut decoder.by_ref().take(inner), &mut std::io::sink()).unwrap();
        let mut bytes = Vec::new();
        decoder.take(length).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, length, "{chunk}");
        bytes
    }
}

/// A number that is 0 where it is left out.
pub(crate) fn number(entry: &Value, member: &str) -> u64 {
    match &entry[member] {
        Value::Null => 0,
        value => value.as_u64().unwrap(),
    }
}
