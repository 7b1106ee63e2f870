//! Tar headers and PAX, a strict reader, codec detection and bounded decoders.
