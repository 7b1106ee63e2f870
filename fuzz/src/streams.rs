//! What imglayer joins inside: raw deflate streams.

use flate2::{Decompress, FlushDecompress, Status};

use crate::deflate::{FINAL_BLOCK, JOINT_SIZE, Joint, PADDING};

/// Streams whose ends are opened: any that inflates goes on to inflate to the same bytes, alone and in front of
/// another. About the rest nothing is asked but an answer.
pub fn deflate_joint(bytes: &[u8]) {
    let mut buffer = bytes.to_vec();
    // Whatever stands behind the stream must not matter.
    buffer.resize(bytes.len() + PADDING, 0xa5);
    let mut joint = Joint::new();
    let opened = joint.open_end(&mut buffer, bytes.len());
    let again = joint.open_end(&mut [bytes, &[0; PADDING]].concat(), bytes.len());
    assert_eq!(opened, again, "what was read before must not matter");
    let Some(content) = inflate(bytes) else {
        return;
    };
    let length = opened.expect("what inflates is a whole stream");
    assert!(length <= bytes.len() + JOINT_SIZE);
    let open = &buffer[..length];
    check(&[open, &FINAL_BLOCK].concat(), &content);
    check(
        &[open, open, &FINAL_BLOCK].concat(),
        &[&content[..], &content].concat(),
    );
}

fn check(stream: &[u8], content: &[u8]) {
    assert!(inflate(stream).expect("an opened stream goes on") == content);
}

/// Inflates a stream that is not absurdly long with another implementation.
fn inflate(stream: &[u8]) -> Option<Vec<u8>> {
    const MOST: usize = 4 << 20;
    let mut content = Vec::with_capacity((stream.len() * 16).clamp(1 << 10, MOST));
    let mut decoder = Decompress::new(false);
    loop {
        let rest = stream.get(usize::try_from(decoder.total_in()).ok()?..)?;
        let before = (decoder.total_in(), content.len());
        let status = decoder.decompress_vec(rest, &mut content, FlushDecompress::None);
        if status.ok()? == Status::StreamEnd {
            return Some(content);
        }
        if content.len() == content.capacity() {
            if content.len() >= MOST {
                return None;
            }
            content.reserve(content.len());
        } else if before == (decoder.total_in(), content.len()) {
            return None;
        }
    }
}
